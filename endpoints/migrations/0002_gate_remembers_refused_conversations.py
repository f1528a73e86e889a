"""A gate remembers which conversations were refused, not how many and the last one."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("endpoints", "0001_initial")]

    operations = [
        migrations.RemoveField("endpointgate", "last_refused_conversation"),
        migrations.RemoveField("endpointgate", "refused_conversations"),
        migrations.AddField(
            "endpointgate",
            "refused_conversations",
            django.contrib.postgres.fields.ArrayField(models.UUIDField(), blank=True, default=list),
        ),
    ]
