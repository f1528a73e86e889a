"""An endpoint says whether its internal comments may leave it."""


from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('endpoints', '0002_gate_remembers_refused_conversations'),
        ('oneio', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='internal_comments',
            field=models.CharField(choices=[('may_leave', 'May leave, if a rule carries them over'), ('never_leave', 'Never leave this endpoint, whatever a rule says')], default='may_leave', help_text='A comment whose visibility is not known counts as internal.', max_length=15, verbose_name='internal comments written here'),
        ),
        migrations.AddConstraint(
            model_name='endpoint',
            constraint=models.CheckConstraint(condition=models.Q(('internal_comments__in', ['may_leave', 'never_leave'])), name='endpoint_internal_comments_is_known'),
        ),
    ]
