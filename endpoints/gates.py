"""Owns every change of an endpoint's gate: pause, throttle, circuit, token refresh; and its alerts.

A gate is politeness, not safety: it decides when requests go out, never whether an effect happens twice.
All times are the database's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from endpoints.adapters.base import Token
from endpoints.models import Alert, AlertKind, Circuit, Credentials, Endpoint, EndpointGate, EndpointStatus
from oneio.models import Environment
from oneio.statements import one

CIRCUIT_OPENS_AFTER = 10
CIRCUIT_REST_SECONDS = 30
REFUSALS_MEAN_CREDENTIALS = 3
TOKEN_REFRESH_SECONDS = 30
TOKEN_IS_FRESH = timedelta(seconds=60)
TOKEN_MARGIN_SECONDS = 60
PAUSED_FOR_CREDENTIALS = "credentials"
SUCCESS_NOTED_EVERY = timedelta(seconds=5)
NEXT_IN_TURN = datetime(1970, 1, 1, tzinfo=UTC)
# Asked for every batch that arrived; what it leaves unasked `note_success` looks at closely.
_SUCCESS_IS_NO_NEWS = """
    SELECT 1 FROM endpoints_endpointgate
    WHERE endpoint_id = %s AND last_success_at >= now() - %s AND failures_in_row = 0
      AND refused_conversations = '{}' AND circuit = 'closed' AND paused_at IS NULL
"""


def suspend(endpoint: Endpoint) -> None:
    """Let nothing leave for `endpoint` until it is resumed; it goes on receiving."""
    Endpoint.objects.filter(pk=endpoint.pk).update(status=EndpointStatus.SUSPENDED)


def resume(endpoint: Endpoint) -> None:
    """Let waiting deliveries leave again, in order."""
    Endpoint.objects.filter(pk=endpoint.pk).update(status=EndpointStatus.ACTIVE)


def pause_for_credentials(endpoint_id: int) -> None:
    """Stop sending because the credentials were rejected, and tell people."""
    with transaction.atomic():
        gate = _locked(endpoint_id)
        if gate.paused_at is None:
            _gates(endpoint_id).update(paused_at=Now(), pause_reason=PAUSED_FOR_CREDENTIALS, served_at=Now())
        raise_alert(
            gate.endpoint,
            AlertKind.CREDENTIALS,
            f"{gate.endpoint.name} rejected our user name or password. Correct the outbound credentials of "
            "the endpoint, test them, then choose Send again. Waiting tickets are kept.",
        )


def unpause(endpoint: Endpoint) -> None:
    """Send again: a person corrected the cause."""
    with transaction.atomic():
        _locked(endpoint.pk)
        _recover(endpoint.pk, closed_until=None)


def throttle(endpoint_id: int, seconds: float) -> None:
    """Send nothing for `seconds`, because the target asked for it; a longer wait already set stays."""
    until = Now() + timedelta(seconds=seconds)
    _gates(endpoint_id).update(closed_until=Greatest(F("closed_until"), until))


def take_turn(endpoint_id: int) -> float | None:
    """Seconds until one more request may go out that is no delivery; 0: it may go now, and its turn is taken.
    None while nothing is to be sent there at all."""
    with transaction.atomic():
        gate, now = _locked(endpoint_id), _database_now()
        if gate.endpoint.status != EndpointStatus.ACTIVE or gate.paused_at or gate.circuit != Circuit.CLOSED:
            return None
        if gate.closed_until and gate.closed_until > now:
            return (gate.closed_until - now).total_seconds()
        rate = gate.endpoint.max_per_second
        if not rate:
            return 0.0
        tokens = min(max(rate, 1.0), gate.tokens + (now - gate.tokens_at).total_seconds() * rate)
        if tokens < 1:
            return (1 - tokens) / rate
        _gates(endpoint_id).update(tokens=tokens - 1, tokens_at=now)
    return 0.0


def note_success(endpoint_id: int) -> None:
    """The target did something for us: the circuit closes, counters start anew, its alerts end."""
    troubled = (
        Q(failures_in_row__gt=0)
        | ~Q(refused_conversations=[])
        | ~Q(circuit=Circuit.CLOSED)
        | Q(paused_at__isnull=False, pause_reason=PAUSED_FOR_CREDENTIALS)
    )
    if one(_SUCCESS_IS_NO_NEWS, [endpoint_id, SUCCESS_NOTED_EVERY]):
        return
    with transaction.atomic():
        gate = _locked(endpoint_id)
        if _gates(endpoint_id).filter(troubled).exists():
            # A wait that the target asked for goes on; one of the circuit is over.
            _recover(endpoint_id, gate.closed_until if gate.circuit == Circuit.CLOSED else None)
        _gates(endpoint_id).update(last_success_at=Now())


def note_answer(endpoint_id: int) -> None:
    """The target answered, if only to refuse: it is up, so the circuit closes."""
    down = Q(failures_in_row__gt=0) | ~Q(circuit=Circuit.CLOSED)
    with transaction.atomic():
        if (
            _gates(endpoint_id)
            .filter(down)
            .update(circuit=Circuit.CLOSED, failures_in_row=0, probe_lane=None)
        ):
            end_alerts(endpoint_id, AlertKind.CIRCUIT)


def note_failure(endpoint_id: int) -> None:
    """The target did not answer or broke: after several in a row, or a failed probe, the circuit opens."""
    with transaction.atomic():
        gate = _locked(endpoint_id)
        failures = gate.failures_in_row + 1
        _gates(endpoint_id).update(failures_in_row=failures, last_failure_at=Now())
        if failures >= CIRCUIT_OPENS_AFTER or gate.circuit == Circuit.HALF_OPEN:
            _open_circuit(gate)


def note_refusal(endpoint_id: int, conversation_id: UUID) -> None:
    """The target forbade one ticket (403): several different ones without a success between mean the
    credentials."""
    with transaction.atomic():
        known = _locked(endpoint_id).refused_conversations
        if conversation_id in known:
            return
        refused = [*known, conversation_id][-REFUSALS_MEAN_CREDENTIALS:]
        _gates(endpoint_id).update(refused_conversations=refused)
        if len(refused) >= REFUSALS_MEAN_CREDENTIALS:
            pause_for_credentials(endpoint_id)
        else:
            _alert_refusal(endpoint_id)


def _alert_refusal(endpoint_id: int) -> None:
    endpoint = Endpoint.objects.get(pk=endpoint_id)
    raise_alert(
        endpoint,
        AlertKind.REFUSED,
        f"{endpoint.name} forbids our user to change a ticket (HTTP 403). Give the integration user the "
        f"right, then retry the held deliveries. After {REFUSALS_MEAN_CREDENTIALS} different tickets "
        "without a success between, the endpoint is paused.",
    )


def reachable(endpoint_ids: Iterable[int]) -> set[int]:
    """Those of the endpoints that may be asked something now: active, not paused, not resting."""
    rested = Q(closed_until=None) | Q(closed_until__lte=Now())
    active = EndpointGate.objects.filter(
        rested, pk__in=list(endpoint_ids), endpoint__status=EndpointStatus.ACTIVE
    )
    return set(active.filter(paused_at=None, circuit=Circuit.CLOSED).values_list("pk", flat=True))


def begin_token_refresh(endpoint_id: int) -> bool:
    """True for the one caller of all workers that is to fetch a new token now."""
    free = Q(token_refresh_until=None) | Q(token_refresh_until__lte=Now())
    until = Now() + timedelta(seconds=TOKEN_REFRESH_SECONDS)
    return bool(_gates(endpoint_id).filter(free).update(token_refresh_until=until))


def store_token(endpoint_id: int, token: Token) -> None:
    """Keep a fresh access token and let deliveries go on."""
    with transaction.atomic():
        _locked(endpoint_id)
        credentials = Credentials.objects.get(endpoint_id=endpoint_id)
        credentials.token = token.value
        credentials.save(update_fields=["token"])
        good_for = max(token.expires_in - TOKEN_MARGIN_SECONDS, 1)
        Credentials.objects.filter(pk=credentials.pk).update(
            token_obtained_at=Now(), token_expires_at=Now() + timedelta(seconds=good_for)
        )
        _gates(endpoint_id).update(token_refresh_until=None)
        # The claim that asked for the token was a probe: let another one use it while it is good.
        _gates(endpoint_id).filter(pause_reason=PAUSED_FOR_CREDENTIALS).update(served_at=NEXT_IN_TURN)


def fail_token(endpoint_id: int) -> None:
    """No token could be had: others may try again."""
    _gates(endpoint_id).update(token_refresh_until=None)


def reject_token(endpoint_id: int, token: str) -> None:
    """The target answered 401 to `token`: fetch a new one, unless it is new already; a fresh one that is
    rejected means that the credentials themselves are wrong."""
    with transaction.atomic():
        _locked(endpoint_id)
        credentials = Credentials.objects.get(endpoint_id=endpoint_id)
        if credentials.token != token:
            return
        row = Credentials.objects.filter(pk=credentials.pk)
        if row.filter(token_obtained_at__gt=Now() - TOKEN_IS_FRESH).exists():
            pause_for_credentials(endpoint_id)
        row.update(token_expires_at=Now())


def raise_alert(endpoint: Endpoint, kind: AlertKind, what_to_do: str) -> None:
    """Open an alert for this cause unless one is open."""
    _open_alert(endpoint.environment, endpoint=endpoint, kind=kind, what_to_do=what_to_do)


def raise_environment_alert(environment: Environment, kind: AlertKind, what_to_do: str) -> None:
    """The same for a cause that is no endpoint's."""
    _open_alert(environment, kind=kind, what_to_do=what_to_do)


def end_alerts(endpoint_id: int, *kinds: AlertKind) -> None:
    """Close the open alerts of these kinds."""
    Alert.objects.filter(endpoint_id=endpoint_id, kind__in=kinds, ended_at=None).update(ended_at=Now())


def end_environment_alerts(environments: Iterable[Environment], *kinds: AlertKind) -> None:
    """Close the open alerts of these kinds that are no endpoint's."""
    rows = Alert.objects.filter(environment__in=environments, endpoint=None, kind__in=kinds, ended_at=None)
    rows.update(ended_at=Now())


def _open_alert(environment: Environment, **fields: Any) -> None:
    alert = Alert(environment=environment, organization_id=environment.organization_id, **fields)
    Alert.objects.bulk_create([alert], ignore_conflicts=True)


def _recover(endpoint_id: int, closed_until: datetime | None) -> None:
    _gates(endpoint_id).update(
        paused_at=None,
        pause_reason="",
        closed_until=closed_until,
        circuit=Circuit.CLOSED,
        probe_lane=None,
        failures_in_row=0,
        refused_conversations=[],
    )
    end_alerts(endpoint_id, AlertKind.CREDENTIALS, AlertKind.REFUSED, AlertKind.CIRCUIT)


def _open_circuit(gate: EndpointGate) -> None:
    _gates(gate.pk).update(
        circuit=Circuit.OPEN, probe_lane=None, closed_until=Now() + timedelta(seconds=CIRCUIT_REST_SECONDS)
    )
    raise_alert(
        gate.endpoint,
        AlertKind.CIRCUIT,
        f"{gate.endpoint.name} does not answer. Tickets wait and nothing is lost; oneio tries one every "
        f"{CIRCUIT_REST_SECONDS} seconds and goes on by itself. Check that the system is up and reachable.",
    )


def _database_now() -> datetime:
    now: datetime = one("SELECT now()")[0]
    return now


def _gates(endpoint_id: int) -> QuerySet[EndpointGate]:
    return EndpointGate.objects.filter(pk=endpoint_id)


def _locked(endpoint_id: int) -> EndpointGate:
    return EndpointGate.objects.select_for_update(of=("self",)).select_related("endpoint").get(pk=endpoint_id)
