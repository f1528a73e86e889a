"""Messages, deliveries and lanes as rows: what the database refuses whoever writes it."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from conversations.models import (
    Attachment,
    AttachmentChunk,
    Attempt,
    Delivery,
    DeliveryState,
    Lane,
    Message,
    MessageState,
)
from tests.factories import (
    make_conversation,
    make_delivery,
    make_endpoint,
    make_lane,
    make_message,
    make_participant,
)

pytestmark = pytest.mark.django_db


def make_attempt(delivery: Delivery, **fields: Any) -> Attempt:
    """An open attempt."""
    own = {"token": 1, "organization_id": delivery.organization_id} | fields
    return Attempt.objects.create(delivery=delivery, **own)


@pytest.mark.parametrize("second", ["sending", "verifying"])
@pytest.mark.parametrize("first", ["sending", "verifying"])
def test_lane_has_one_delivery_under_way(first: str, second: str) -> None:
    one = make_delivery(state=first)

    with pytest.raises(IntegrityError, match="one_under_way_per_lane"), transaction.atomic():
        make_delivery(one.message, one.endpoint, lane=one.lane, state=second)


def test_other_deliveries_wait_in_the_same_lane() -> None:
    one = make_delivery(state="sending")

    waiting = make_delivery(one.message, one.endpoint, lane=one.lane, state="queued")

    assert list(one.lane.deliveries.order_by("id")) == [one, waiting]


def test_delivery_has_one_open_attempt() -> None:
    delivery = make_delivery(state="sending")
    make_attempt(delivery)

    with pytest.raises(IntegrityError, match="one_open_attempt"), transaction.atomic():
        make_attempt(delivery, token=2)


def test_next_attempt_follows_an_ended_one() -> None:
    delivery = make_delivery(state="sending")
    Attempt.objects.filter(pk=make_attempt(delivery).pk).update(ended_at=Now(), result="unknown")

    make_attempt(delivery, token=2, purpose="verify")

    assert delivery.attempts.filter(ended_at=None).get().token == 2


@pytest.mark.parametrize("values", [{"ended_at": Now()}, {"result": "confirmed"}])
def test_attempt_ends_with_a_result_or_not_at_all(values: dict[str, Any]) -> None:
    attempt = make_attempt(make_delivery(state="sending"))

    with pytest.raises(IntegrityError, match="ended_attempt_has_a_result"), transaction.atomic():
        Attempt.objects.filter(pk=attempt.pk).update(**values)


def test_conversation_has_one_lane_per_target() -> None:
    lane = make_lane()

    with pytest.raises(IntegrityError, match="one_lane_per_target"), transaction.atomic():
        make_lane(lane.conversation, lane.endpoint)


def test_leased_lane_is_due_when_its_lease_ends() -> None:
    lane = make_lane()

    with pytest.raises(IntegrityError, match="leased_lane_is_due_at_its_end"), transaction.atomic():
        Lane.objects.filter(pk=lane.pk).update(lease_until=Now(), due_at="2020-01-01T00:00Z")


@pytest.mark.parametrize(
    "values", [{"state": "held"}, {"state": "held", "hold_reason": ""}, {"hold_reason": "refused"}]
)
def test_held_delivery_says_why_and_no_other_does(values: dict[str, Any]) -> None:
    delivery = make_delivery()

    with pytest.raises(IntegrityError, match="held_delivery_says_why"), transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(**values)


def test_hold_reason_without_a_text_for_people_is_refused() -> None:
    delivery = make_delivery()

    with pytest.raises(IntegrityError, match="delivery_hold_reason_is_known"), transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(state="held", hold_reason="whatever")


@pytest.mark.parametrize("state", [state for state in DeliveryState.values if state != "held"])
def test_each_known_delivery_state_can_be_stored(state: str) -> None:
    reason = "time" if state == DeliveryState.DELAYED else ""

    assert make_delivery(state=state, reason=reason).state == state


def test_delayed_delivery_says_why() -> None:
    with pytest.raises(IntegrityError, match="delayed_delivery_says_why"):
        make_delivery(state=DeliveryState.DELAYED)


@pytest.mark.parametrize("state", MessageState.values)
def test_each_known_message_state_can_be_stored(state: str) -> None:
    assert make_message(state=state).state == state


def test_state_unknown_to_the_model_is_refused() -> None:
    message, delivery = make_message(), make_delivery()

    with pytest.raises(IntegrityError, match="message_state_is_known"), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(state="lost")
    with pytest.raises(IntegrityError, match="delivery_state_is_known"), transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(state="lost")


def test_routed_message_has_a_conversation() -> None:
    message = make_message()

    with pytest.raises(IntegrityError, match="routed_message_has_a_conversation"), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(state="routed")


def test_only_received_messages_wait() -> None:
    message = make_message(state="unmatched")

    with pytest.raises(IntegrityError, match="only_received_messages_wait"), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(wake_at=Now())


def test_effect_key_is_used_once_per_endpoint() -> None:
    one = make_delivery(effect_key="a" * 26)

    with pytest.raises(IntegrityError, match="effect_once"), transaction.atomic():
        make_delivery(one.message, one.endpoint, lane=one.lane, effect_key="a" * 26)


def test_ticket_lies_in_one_conversation() -> None:
    one = make_participant(external_id="abc")

    with pytest.raises(IntegrityError, match="ticket_in_one_conversation"), transaction.atomic():
        make_participant(make_conversation(one.environment), one.endpoint, external_id="abc")


def test_endpoint_takes_part_once_in_a_conversation() -> None:
    one = make_participant()

    with pytest.raises(IntegrityError, match="one_participant_per_endpoint"), transaction.atomic():
        make_participant(one.conversation, one.endpoint)


def test_idempotency_key_is_used_once_per_endpoint() -> None:
    endpoint = make_endpoint()
    make_message(endpoint, idempotency_key=b"k")
    make_message(idempotency_key=b"k")

    with pytest.raises(IntegrityError, match="idempotency_key_once"), transaction.atomic():
        make_message(endpoint, idempotency_key=b"k")


def test_file_has_one_last_chunk() -> None:
    endpoint = make_endpoint()
    file = Attachment.objects.create(environment=endpoint.environment, endpoint=endpoint, file_name="a")
    AttachmentChunk.objects.create(attachment=file, index=0, last=True, data=b"")

    with pytest.raises(IntegrityError, match="one_last_chunk"), transaction.atomic():
        AttachmentChunk.objects.create(attachment=file, index=1, last=True, data=b"")


def test_response_id_is_the_key_of_the_body() -> None:
    message = make_message()

    assert message.response_id == str(message.body.pk)
    assert message.body.pk.version == 7
