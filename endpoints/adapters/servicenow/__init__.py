"""ServiceNow over its Table API: records in, records out, journal entries as comments."""

from endpoints.adapters.servicenow.adapter import ServiceNowAdapter

__all__ = ["ServiceNowAdapter"]
