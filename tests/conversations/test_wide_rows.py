"""Tables of wide rows are sampled sparingly: PostgreSQL holds the whole sample in memory."""

import pytest
from django.db import connection, models

from conversations.models import Attempt, DeliveryContent, LookupAnswer, MessageBody, Participant, ReplayItem

pytestmark = pytest.mark.django_db
FEW = 10


@pytest.mark.parametrize(
    "model", [MessageBody, DeliveryContent, Attempt, Participant, LookupAnswer, ReplayItem]
)
def test_no_column_asks_for_a_large_sample(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped AND attstattarget IS DISTINCT FROM %s",
            [model._meta.db_table, FEW],
        )
        asking_for_more = cursor.fetchall()

    assert asking_for_more == []
