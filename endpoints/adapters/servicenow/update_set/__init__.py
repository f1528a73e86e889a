"""What runs inside a ServiceNow instance, and the update set that brings it there."""

from endpoints.adapters.servicenow.update_set.contents import update_set

__all__ = ["update_set"]
