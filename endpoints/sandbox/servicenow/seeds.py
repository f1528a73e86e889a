"""People, groups, companies and configuration items a new instance starts with."""

import hashlib

SEEDS: dict[str, tuple[dict[str, str], ...]] = {
    "core_company": (
        {"name": "ACME Nordic", "customer": "true", "city": "Helsinki", "country": "Finland"},
        {"name": "Fabrikam Services", "vendor": "true", "city": "Gothenburg", "country": "Sweden"},
    ),
    "sys_user": (
        {"user_name": "admin", "name": "System Administrator", "email": "admin@example.com"},
        {"user_name": "oneio", "name": "Integration User", "email": "integration@example.com"},
        {"user_name": "abel.tuter", "name": "Abel Tuter", "email": "abel.tuter@example.com"},
        {"user_name": "beth.anglin", "name": "Beth Anglin", "email": "beth.anglin@example.com"},
        {"user_name": "david.loo", "name": "David Loo", "email": "david.loo@example.com"},
        {"user_name": "fred.luddy", "name": "Fred Luddy", "email": "fred.luddy@example.com"},
        {"user_name": "itil", "name": "ITIL User", "email": "itil@example.com"},
    ),
    "sys_user_group": (
        {"name": "Service Desk", "description": "First line"},
        {"name": "Network", "description": "Routers, switches and lines"},
        {"name": "Database", "description": "Database administration"},
        {"name": "Software", "description": "Business applications"},
        {"name": "Vendor Support", "description": "Tickets handed to the outside partner"},
    ),
    "cmdb_ci": (
        {"name": "mail-gw-01", "short_description": "Mail gateway"},
        {"name": "erp-db-02", "short_description": "ERP database server"},
        {"name": "sw-helsinki-3", "short_description": "Access switch, third floor"},
    ),
    "cmdb_ci_service": (
        {"name": "Email", "short_description": "Company mail"},
        {"name": "ERP", "short_description": "Finance and logistics"},
    ),
}


def seed_id(table: str, name: str) -> str:
    """Return the sys_id of a seeded record; the same in every instance."""
    return hashlib.md5(f"{table}:{name}".encode(), usedforsecurity=False).hexdigest()


def seed_records(table: str) -> list[dict[str, str]]:
    """Return the records a table starts with, sys_id included."""
    return [_record(table, seed) for seed in SEEDS.get(table, ())]


def _record(table: str, seed: dict[str, str]) -> dict[str, str]:
    record = {"sys_id": seed_id(table, seed.get("user_name", seed["name"])), "active": "true", **seed}
    if table == "sys_user":
        first, _, last = seed["name"].partition(" ")
        record |= {"first_name": first, "last_name": last, "company": seed_id("core_company", "ACME Nordic")}
    return record
