"""What is sealed cannot be made smaller: PostgreSQL need not try each time that a row is long."""

from django.db import migrations

SEALED = {
    "attachment": ["file_name", "url"],
    "attachmentchunk": ["data"],
    "attempt": ["request", "answer", "detail"],
    "conversation": ["variables"],
    "deliverycontent": ["snapshot", "overrides", "contested", "problem"],
    "goldenticket": ["given", "expected"],
    "lookupanswer": ["answer"],
    "messagebody": ["raw", "parameters", "headers", "canonical", "numbers", "trace", "problem"],
    "participant": ["shadow"],
    "replayitem": ["contents", "fresh"],
}


def stored(table: str, how: str) -> str:
    columns = (f"ALTER COLUMN {column} SET STORAGE {how}" for column in SEALED[table])
    return f"ALTER TABLE conversations_{table} {', '.join(columns)}"


class Migration(migrations.Migration):
    dependencies = [("conversations", "0019_answers_to_lookups")]
    operations = [
        migrations.RunSQL(stored(table, "EXTERNAL"), stored(table, "EXTENDED")) for table in SEALED
    ]
