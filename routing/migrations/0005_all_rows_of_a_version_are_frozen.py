"""Delays, lookups and attachment mappings of a published version are frozen like its other rows."""

from django.db import migrations

TABLES = {
    "routing_delay": "routing_delaycondition",
    "routing_lookup": "routing_lookup",
    "routing_attachments": "routing_attachmentmapping",
}
FREEZE = "\n".join(
    f"CREATE TRIGGER {name}_is_frozen BEFORE INSERT OR UPDATE OR DELETE ON {table}"
    " FOR EACH ROW EXECUTE FUNCTION routing_refuse_published_rows();"
    for name, table in TABLES.items()
)
THAW = "\n".join(f"DROP TRIGGER {name}_is_frozen ON {table};" for name, table in TABLES.items())


class Migration(migrations.Migration):
    dependencies = [("routing", "0004_rules_at_full_strength")]
    operations = [migrations.RunSQL(FREEZE, THAW)]
