"""The registry of endpoint types: every adapter that exists, by its kind."""

from collections.abc import Mapping

from endpoints.adapters.base import Adapter, EndpointConfig
from endpoints.adapters.jira import JiraAdapter
from endpoints.adapters.rest import RestAdapter
from endpoints.adapters.servicenow import ServiceNowAdapter

ADAPTERS: Mapping[str, type[Adapter]] = {
    ServiceNowAdapter.kind: ServiceNowAdapter,
    JiraAdapter.kind: JiraAdapter,
    RestAdapter.kind: RestAdapter,
}


def adapter_for(kind: str, config: EndpointConfig) -> Adapter:
    """The adapter of an endpoint type, bound to one endpoint. Raises KeyError for an unknown kind."""
    return ADAPTERS[kind](config)
