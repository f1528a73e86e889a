"""Deliveries may be delayed, and say what they wait for."""


from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0009_deliveries_say_why'),
        ('endpoints', '0004_endpoints_refer_to_tickets'),
        ('oneio', '0001_initial'),
        ('routing', '0005_all_rows_of_a_version_are_frozen'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='delivery',
            name='delivery_reason_is_known',
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='delivery_unfinished',
        ),
        migrations.AlterField(
            model_name='delivery',
            name='reason',
            field=models.CharField(blank=True, choices=[('internal', 'An internal comment that never leaves its endpoint'), ('time', 'Its rule waits for a time'), ('variable', 'Its rule waits for a conversation variable'), ('target', "Its rule waits until the target's ticket is known"), ('order', 'An earlier message to the same ticket waits'), ('rule_off', 'Its rule was switched off while it waited'), ('rule_changed', 'Its rule does not take it any more since it waited')], max_length=15),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state__in', ['delayed', 'queued', 'sending', 'verifying', 'held'])), fields=['lane', 'id'], name='delivery_unfinished'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'delayed')), fields=['conversation'], name='delivery_delayed'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'delayed')), fields=['due_at'], name='delayed_due'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['', 'internal', 'time', 'variable', 'target', 'order', 'rule_off', 'rule_changed'])), name='delivery_reason_is_known'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'delayed'), _negated=True), ('reason__in', ('time', 'variable', 'target', 'order')), _connector='OR'), name='delayed_delivery_says_why'),
        ),
    ]
