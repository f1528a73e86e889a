"""Room in the page for what routing adds to a message, no second table for what fits, and no entries in indexes
for what is not known yet."""

import django.db.models.deletion
from django.db import migrations, models

FITS = "toast_tuple_target = 4080"
ROOM = {
    "messagebody": f"fillfactor = 30, {FITS}",
    "attempt": FITS,
    "deliverycontent": FITS,
    "participant": FITS,
}


def reset(options: str) -> str:
    return ", ".join(option.partition(" ")[0] for option in options.split(", "))


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0021_tickets_in_place_of_others'),
        ('endpoints', '0004_endpoints_refer_to_tickets'),
        ('oneio', '0001_initial'),
    ]

    operations = [
        *(
            migrations.RunSQL(
                f"ALTER TABLE conversations_{table} SET ({options})",
                f"ALTER TABLE conversations_{table} RESET ({reset(options)})",
            )
            for table, options in ROOM.items()
        ),
        migrations.RemoveIndex(
            model_name='participant',
            name='conversatio_number_245703_idx',
        ),
        migrations.RemoveIndex(
            model_name='participant',
            name='conversatio_externa_4328d8_idx',
        ),
        migrations.AlterField(
            model_name='message',
            name='conversation',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='messages', to='conversations.conversation'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('conversation__isnull', False)), fields=['conversation'], name='message_conversation'),
        ),
        migrations.AddIndex(
            model_name='participant',
            index=models.Index(condition=models.Q(('number', ''), _negated=True), fields=['number'], name='participant_number'),
        ),
        migrations.AddIndex(
            model_name='participant',
            index=models.Index(condition=models.Q(('external_id__isnull', False)), fields=['external_id'], name='participant_external_id'),
        ),
    ]
