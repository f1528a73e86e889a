"""A test of a draft on real messages is noted, and a rule may ask for it."""

import django.db.models.deletion
import django.db.models.functions.datetime
import oneio.constraints
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('oneio', '0001_initial'),
        ('routing', '0008_rules_in_force_are_noted'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='routingrule',
            name='test_before_publish',
            field=models.BooleanField(default=False, help_text='A draft can be published only after it was tested, as it is, on real messages.', verbose_name='test before publishing'),
        ),
        migrations.CreateModel(
            name='DraftTest',
            fields=[
                ('version', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='test', serialize=False, to='routing.ruleversion')),
                ('fingerprint', models.CharField(editable=False, max_length=64)),
                ('tested', models.PositiveIntegerField()),
                ('failed', models.PositiveIntegerField()),
                ('tested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('environment', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.environment')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='oneio.organization')),
                ('tested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [oneio.constraints.CompositeForeignKey(fields=('version', 'environment', 'organization'), name='draft_test_version_same_environment', to='routing.RuleVersion', to_fields=('id', 'environment', 'organization'))],
            },
        ),
    ]
