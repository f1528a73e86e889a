"""A simulated ServiceNow instance."""

from endpoints.sandbox.servicenow.application import ServiceNowApp
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options


def create_app(store: Store, options: Options) -> ServiceNowApp:
    """Build the instance over a store; raises nothing."""
    return ServiceNowApp(store, options)
