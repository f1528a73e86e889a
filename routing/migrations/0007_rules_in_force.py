"""Which version of which rule was in force since which revision."""

import django.db.models.deletion
import oneio.constraints
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('oneio', '0001_initial'),
        ('routing', '0006_conversations_keep_their_files'),
    ]

    operations = [
        migrations.CreateModel(
            name='RuleInForce',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('revision', models.BigIntegerField()),
                ('environment', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.environment')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.organization')),
                ('rule', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='routing.routingrule')),
                ('version', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='routing.ruleversion')),
            ],
            options={
                'indexes': [models.Index(fields=['environment', 'rule', '-revision'], name='rules_in_force')],
                'constraints': [oneio.constraints.CompositeForeignKey(fields=('rule', 'environment', 'organization'), name='rule_in_force_rule_same_environment', to='routing.RoutingRule', to_fields=('id', 'environment', 'organization')), oneio.constraints.CompositeForeignKey(fields=('version', 'environment', 'organization'), name='rule_in_force_version_same_environment', to='routing.RuleVersion', to_fields=('id', 'environment', 'organization')), models.UniqueConstraint(fields=('rule', 'revision'), name='rule_in_force_once_per_revision')],
            },
        ),
    ]
