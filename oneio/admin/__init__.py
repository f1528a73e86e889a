"""The admin's ground floor: what every page shares, and the pages of tenants, people and scheduled work."""

from oneio.admin import people, scheduled, tenants

__all__ = ["people", "scheduled", "tenants"]
