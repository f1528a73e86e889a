"""Messages keep what their decision knew, to explain and repeat it."""

import oneio.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0014_files_may_be_fetched_later'),
    ]

    operations = [
        migrations.AddField(
            model_name='messagebody',
            name='trace',
            field=oneio.fields.EncryptedJSONField(null=True),
        ),
    ]
