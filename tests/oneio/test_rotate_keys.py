"""Rotating keys by command, with messages stored before it."""

import base64
import os
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from conversations.models import MessageBody
from oneio.crypto import forget_keys
from oneio.models import DataKey
from tests.factories import make_message


@pytest.mark.django_db
def test_old_key_can_be_retired_after_rotation(settings: Any) -> None:
    message = make_message(raw=b"before")
    new = {"id": "new", "key": base64.b64encode(os.urandom(32)).decode()}
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]

    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = [new]
    forget_keys()

    assert MessageBody.objects.get(pk=message.body_id).raw == b"before"


@pytest.mark.django_db
def test_lost_key_is_said_in_words_and_fresh_data_keys_work(settings: Any) -> None:
    message = make_message(raw=b"before")
    settings.ENCRYPTION_KEYS = [{"id": "new", "key": base64.b64encode(os.urandom(32)).decode()}]
    forget_keys()

    with pytest.raises(CommandError, match=r"is missing from ONEIO_ENCRYPTION_KEYS\. Add it back\. What is"):
        call_command("rotate_keys", "--new-data-keys")

    later = make_message(message.endpoint, raw=b"after")
    assert MessageBody.objects.get(pk=later.body_id).raw == b"after"


@pytest.mark.django_db
def test_new_data_keys_leave_old_values_readable() -> None:
    message = make_message(raw=b"before")

    call_command("rotate_keys", "--new-data-keys")

    later = make_message(message.endpoint, raw=b"after")
    assert DataKey.objects.filter(organization=message.organization).count() == 2
    assert MessageBody.objects.get(pk=message.body_id).raw == b"before"
    assert MessageBody.objects.get(pk=later.body_id).raw == b"after"
