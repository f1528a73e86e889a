"""Rows of the queue change several times in their short lives: room in the page, and early vacuums."""

from django.db import migrations

HOT = {
    "conversations_lane": "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01",
    "conversations_delivery": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02",
    "conversations_message": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02",
    "conversations_attempt": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05",
    "conversations_participant": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05",
    "endpoints_inbox": "fillfactor = 10, autovacuum_vacuum_scale_factor = 0",
    "endpoints_endpointgate": "fillfactor = 10, autovacuum_vacuum_scale_factor = 0",
    "oneio_pumpheartbeat": "fillfactor = 10, autovacuum_vacuum_scale_factor = 0",
}
SET = "ALTER TABLE {} SET ({}, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0)"
RESET = (
    "ALTER TABLE {} RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,"
    " autovacuum_vacuum_cost_delay)"
)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial"), ("endpoints", "0001_initial"), ("oneio", "0001_initial")]
    operations = [
        migrations.RunSQL(SET.format(table, options), RESET.format(table)) for table, options in HOT.items()
    ]
