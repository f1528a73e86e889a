"""A delivery says why it is where it is when neither a failure nor a person brought it there."""


from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0008_fewer_indexes_on_hot_tables'),
        ('endpoints', '0003_endpoints_keep_internal_comments'),
        ('oneio', '0001_initial'),
        ('routing', '0005_all_rows_of_a_version_are_frozen'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='reason',
            field=models.CharField(blank=True, choices=[('internal', 'An internal comment that never leaves its endpoint')], max_length=15),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['', 'internal'])), name='delivery_reason_is_known'),
        ),
    ]
