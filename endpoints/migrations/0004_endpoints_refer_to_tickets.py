"""Endpoints say where their messages name tickets of other endpoints."""


import django.db.models.deletion
import endpoints.models
import oneio.constraints
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('endpoints', '0003_endpoints_keep_internal_comments'),
        ('oneio', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Reference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('path', models.CharField(help_text="Where the other ticket's id or number stands, for example u_vendor_ticket.", max_length=500, validators=[endpoints.models.validate_path], verbose_name='field')),
                ('endpoint', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='references', to='endpoints.endpoint')),
                ('environment', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.environment')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.organization')),
                ('referenced_endpoint', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='referenced_by', to='endpoints.endpoint')),
                ('referenced_entity', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='endpoints.entitytype', verbose_name='names a')),
            ],
            options={
                'ordering': ['position', 'id'],
                'constraints': [oneio.constraints.CompositeForeignKey(fields=('endpoint', 'environment', 'organization'), name='reference_endpoint_same_environment', to='endpoints.Endpoint', to_fields=('id', 'environment', 'organization')), oneio.constraints.CompositeForeignKey(fields=('referenced_entity', 'referenced_endpoint', 'environment', 'organization'), name='reference_entity_of_its_endpoint', to='endpoints.EntityType', to_fields=('id', 'endpoint', 'environment', 'organization')), models.CheckConstraint(condition=models.Q(('referenced_endpoint', models.F('endpoint')), _negated=True), name='reference_names_another_endpoint'), models.UniqueConstraint(fields=('endpoint', 'path', 'referenced_entity'), name='reference_once_per_endpoint')],
            },
        ),
    ]
