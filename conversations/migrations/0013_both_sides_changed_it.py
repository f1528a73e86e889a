"""What both sides of a ticket changed is kept for a person to look at."""


import django.db.models.deletion
import django.db.models.functions.datetime
import oneio.constraints
import oneio.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0012_hourly_counts'),
        ('oneio', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='deliverycontent',
            name='contested',
            field=oneio.fields.EncryptedJSONField(null=True),
        ),
        migrations.CreateModel(
            name='Conflict',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('attribute', models.CharField(max_length=200)),
                ('kept', models.CharField(choices=[('ours', "The sender's"), ('theirs', "The target's")], max_length=10)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('resolution', models.CharField(blank=True, choices=[('ours', "The sender's"), ('theirs', "The target's")], max_length=10)),
                ('resolved_at', models.DateTimeField(null=True)),
                ('conversation', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='conflicts', to='conversations.conversation')),
                ('delivery', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='conflicts', to='conversations.delivery')),
                ('environment', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.environment')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.organization')),
                ('resolved_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [oneio.constraints.CompositeForeignKey(fields=('conversation', 'environment', 'organization'), name='conflict_conversation_same_environment', to='conversations.Conversation', to_fields=('id', 'environment', 'organization')), oneio.constraints.CompositeForeignKey(fields=('delivery', 'organization'), name='conflict_delivery_same_organization', to='conversations.Delivery', to_fields=('id', 'organization')), models.CheckConstraint(condition=models.Q(('kept__in', ['ours', 'theirs'])), name='conflict_kept_is_known'), models.CheckConstraint(condition=models.Q(('resolution__in', ['', 'ours', 'theirs'])), name='conflict_resolution_is_known'), models.UniqueConstraint(fields=('delivery', 'attribute'), name='conflict_once_per_delivery'), models.CheckConstraint(condition=models.Q(models.Q(('resolution', ''), ('resolved_at', None)), models.Q(models.Q(('resolution', ''), _negated=True), ('resolved_at__isnull', False)), _connector='OR'), name='resolved_conflict_says_how')],
            },
        ),
    ]
