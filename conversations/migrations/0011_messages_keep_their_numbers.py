"""Messages keep the numbers that rules took for them."""


import oneio.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0010_delayed_deliveries'),
    ]

    operations = [
        migrations.AddField(
            model_name='messagebody',
            name='numbers',
            field=oneio.fields.EncryptedJSONField(null=True),
        ),
    ]
