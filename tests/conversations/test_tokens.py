"""Access tokens: fetched once for all workers, renewed when they end, and a wrong secret tells people."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from conversations import pump, tokens
from conversations.models import Delivery
from conversations.tokens import TokenFetched
from endpoints import gates
from endpoints.adapters.base import Token
from endpoints.configs import EndpointConfigs
from endpoints.http import HttpClient
from endpoints.models import Alert, Credentials, EndpointGate
from endpoints.network import NetworkPolicy
from endpoints.outcomes import Failure, Outcome, Result
from oneio import runtime
from oneio.heartbeat import Heartbeat
from oneio.models import PumpHeartbeat
from tests.conversations.desk import Office, office
from tests.conversations.workers import PAST, other_worker, wait_for_waiting
from tests.conversations.world import Remote, publish, system
from tests.factories import make_endpoint, make_message
from tests.patience import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
Work = Callable[..., None]


class Oauth:
    """A desk whose tickets go to a ServiceNow that wants an OAuth token."""

    def __init__(self, place: Office, servicenow: Remote) -> None:
        self.place, self.servicenow = place, servicenow
        self.target = make_endpoint(
            "servicenow",
            place.environment,
            base_url=servicenow.url,
            settings={"auth": "oauth", "client_id": "oneio-client"},
            secrets={"client_secret": "oneio-secret"},
        )
        place.rule(target=self.target, write_back=False)

    def send(self, number: int = 1) -> None:
        """Route messages about new tickets."""
        for _ in range(number):
            self.place.say(uuid4().hex)
        self.place.route()

    def requests(self, path: str, status: int | None = None) -> int:
        """How many requests to `path` ServiceNow has got, of those with `status` if given."""
        asked = self.servicenow.call("GET", "/_sandbox/requests")
        wanted = [one for one in asked if one["path"].startswith(path) and status in (None, one["status"])]
        return len(wanted)

    @property
    def token(self) -> str | None:
        return Credentials.objects.get(endpoint=self.target).token

    def age_token(self, seconds: float) -> None:
        """As if the token had been fetched long ago; it stays valid for us."""
        obtained = Now() - timedelta(seconds=seconds)
        Credentials.objects.filter(endpoint=self.target).update(token_obtained_at=obtained)


@pytest.fixture
def oauth(settings: Any) -> Iterator[Oauth]:
    settings.ALLOW_LOOPBACK = True
    with office() as place, system("servicenow", ("admin", "admin")) as servicenow:
        yield Oauth(place, servicenow)


@contextmanager
def pumps(number: int) -> Iterator[None]:
    """Pumps at work in threads of their own until the end of the block."""
    runtime.stop_descriptor, word = os.pipe()
    beats = [PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id) for _ in range(number)]
    threads = [threading.Thread(target=pump.run, args=(str(beat.pk),)) for beat in beats]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        os.close(word)
        for thread in threads:
            thread.join(30)
        os.close(runtime.stop_descriptor)
        runtime.stop_descriptor = None


def wait_for_delivered(number: int) -> None:
    wait_for(lambda: Delivery.objects.filter(state="delivered").count() >= number)


def test_two_pumps_fetch_one_token_for_fifty_tickets(oauth: Oauth) -> None:
    oauth.send(50)

    with pumps(2):
        wait_for_delivered(50)

    assert oauth.requests("/oauth_token.do") == 1
    assert len(oauth.servicenow.records("incident")) >= 50
    assert oauth.requests("/api/now/table", status=401) == 0


def test_expired_token_is_renewed_once(oauth: Oauth, work: Work) -> None:
    oauth.send()
    work()
    first = oauth.token
    Credentials.objects.filter(endpoint=oauth.target).update(token_expires_at=Now())

    oauth.send(20)
    with pumps(2):
        wait_for_delivered(21)

    assert oauth.requests("/oauth_token.do") == 2
    assert oauth.token != first


def test_revoked_token_is_renewed_once_and_delivered(oauth: Oauth, work: Work) -> None:
    oauth.send()
    work()
    oauth.age_token(120)
    oauth.servicenow.call("DELETE", "/_sandbox/oauth")

    oauth.send(20)
    with pumps(2):
        wait_for_delivered(21)

    assert oauth.requests("/oauth_token.do") == 2
    assert oauth.requests("/api/now/table", status=401) <= 40  # each ticket once, or twice at a time
    assert EndpointGate.objects.get(endpoint=oauth.target).paused_at is None
    assert set(Delivery.objects.values_list("tries", flat=True)) == {1}


@pytest.mark.slow
def test_rejected_token_is_not_sent_again_and_again(oauth: Oauth, work: Work) -> None:
    oauth.send()
    work()
    oauth.age_token(120)
    oauth.servicenow.call("DELETE", "/_sandbox/oauth")

    oauth.send()
    work(patience=1.5)

    assert oauth.requests("/api/now/table", status=401) == 1


def test_wrong_client_secret_pauses_with_an_alert(oauth: Oauth, work: Work) -> None:
    oauth.target.credentials.secrets = {"client_secret": "wrong"}
    oauth.target.credentials.save()

    oauth.send(3)
    work()

    gate = EndpointGate.objects.get(endpoint=oauth.target)
    assert (gate.pause_reason, gate.token_refresh_until) == ("credentials", None)
    assert "Send again" in Alert.objects.get(kind="credentials").what_to_do
    assert oauth.requests("/oauth_token.do") == 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {"queued"}


@pytest.mark.slow
def test_corrected_secret_delivers_after_resume(oauth: Oauth, work: Work) -> None:
    oauth.target.credentials.secrets = {"client_secret": "wrong"}
    oauth.target.credentials.save()
    oauth.send()
    work()
    oauth.target.credentials.secrets = {"client_secret": "oneio-secret"}
    oauth.target.credentials.save()

    gates.unpause(oauth.target)
    work(patience=1.5)

    assert Delivery.objects.get().state == "delivered"
    assert not Alert.objects.filter(ended_at=None).exists()


@pytest.mark.slow
def test_corrected_secret_is_noticed_by_one_probe(oauth: Oauth, work: Work) -> None:
    oauth.target.credentials.secrets = {"client_secret": "wrong"}
    oauth.target.credentials.save()
    oauth.send()
    work()
    oauth.target.credentials.secrets = {"client_secret": "oneio-secret"}
    oauth.target.credentials.save()

    EndpointGate.objects.filter(endpoint=oauth.target).update(served_at=PAST)
    work(patience=1.5)

    assert Delivery.objects.get().state == "delivered"
    assert EndpointGate.objects.get(endpoint=oauth.target).paused_at is None


def test_fresh_token_that_is_rejected_pauses(oauth: Oauth, work: Work) -> None:
    oauth.servicenow.fault(path="/api/now/table", status=401)

    oauth.send()
    work()

    assert EndpointGate.objects.get(endpoint=oauth.target).pause_reason == "credentials"
    assert Delivery.objects.get().tries == 0


@pytest.mark.slow
def test_token_server_that_is_down_is_asked_later(oauth: Oauth, work: Work) -> None:
    oauth.servicenow.fault(path="/oauth_token.do", status=503, times=1)

    oauth.send()
    work()

    gate = EndpointGate.objects.get(endpoint=oauth.target)
    assert gate.paused_at is None
    assert gate.closed_until is not None
    EndpointGate.objects.filter(endpoint=oauth.target).update(closed_until=None)
    work(patience=1.5)
    assert Delivery.objects.get().state == "delivered"


def test_only_one_worker_may_fetch_at_a_time(oauth: Oauth) -> None:
    assert gates.begin_token_refresh(oauth.target.pk)

    assert not gates.begin_token_refresh(oauth.target.pk)

    gates.fail_token(oauth.target.pk)
    assert gates.begin_token_refresh(oauth.target.pk)


def test_fetcher_that_died_is_not_waited_for_long(oauth: Oauth) -> None:
    gates.begin_token_refresh(oauth.target.pk)

    EndpointGate.objects.filter(endpoint=oauth.target).update(token_refresh_until=Now())

    assert gates.begin_token_refresh(oauth.target.pk)


def test_bug_while_fetching_is_an_outcome(oauth: Oauth, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = EndpointConfigs().get(oauth.target.pk)
    monkeypatch.setattr(type(endpoint.adapter), "acquire_token", lambda *_: {}["secret"])
    http = HttpClient(NetworkPolicy(allow_loopback=True, allow_private=False))

    fetched = tokens.fetch(endpoint, http)

    http.close()
    assert fetched.answer == Outcome(Result.NOT_SENT, Failure.INTERNAL, code="KeyError")


def test_short_lived_token_is_used_at_all(oauth: Oauth) -> None:
    endpoint = EndpointConfigs().get(oauth.target.pk)

    tokens.settle(TokenFetched(endpoint, Token("t", 30)))

    assert EndpointConfigs().get(oauth.target.pk).config.token == "t"


def test_token_fetched_by_another_pump_is_seen(oauth: Oauth) -> None:
    endpoint = EndpointConfigs().get(oauth.target.pk)
    oauth.send()
    heartbeat = PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id)
    one = pump.Pump(pump.Heartbeat(str(heartbeat.pk)))
    assert one.configs.get(oauth.target.pk).wants_token

    tokens.settle(TokenFetched(endpoint, Token("fetched elsewhere", 600)))
    one._claim()

    one.threads.shutdown(wait=True)
    one.close()
    assert oauth.requests("/oauth_token.do") == 0


def file_to_fetch(oauth: Oauth) -> None:
    """A file that is still in ServiceNow is what the desk gets next."""
    publish(oauth.target, oauth.place.target, attachments={})
    title = {"value": "Down", "display_value": "Down"}
    body = {
        "entity_type": "incident",
        "operation": "insert",
        "sys_id": "a" * 32,
        "number": "INC1",
        "record": {"short_description": title},
        "attachments": [{"sys_id": "f1", "file_name": "a.txt", "content_type": "text/plain"}],
    }
    make_message(oauth.target, json.dumps(body).encode())
    oauth.place.route()
    oauth.place.deliver()


def test_claim_that_needs_a_token_elsewhere_holds_no_second_gate(oauth: Oauth) -> None:
    file_to_fetch(oauth)
    source, target = oauth.target.pk, oauth.place.target.pk
    gate = EndpointGate.objects.select_for_update()
    claiming = pump.Pump(Heartbeat(str(uuid4())))

    with other_worker() as other, other_worker() as worker:
        other.begin()
        other.do(lambda: gate.get(pk=source))
        claimed = worker.start(lambda: claiming._claim_turn(1, []))
        wait_for_waiting()
        other.do(lambda: gate.get(pk=target))  # a deadlock if the claim still had it
        other.commit()
        _, [job] = claimed.result(10)
    claiming.threads.shutdown(wait=True)
    claiming.close()

    assert job.file
    assert job.file.source.id == source
    assert oauth.requests("/oauth_token.do") == 1
