import re
import threading
from base64 import b64decode, b64encode
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from endpoints import outbound_secrets, receiver_logins
from endpoints.admin import receiver
from endpoints.models import Alert, AlertKind, Credentials, Endpoint, EndpointGate, EndpointStatus, EntityType
from oneio.crypto import create_data_key, forget_keys
from tests.factories import make_endpoint, make_environment, make_receiver_login
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/endpoints/endpoint/"
NO_ROWS = {
    "entity_types-TOTAL_FORMS": 0,
    "entity_types-INITIAL_FORMS": 0,
    "references-TOTAL_FORMS": 0,
    "references-INITIAL_FORMS": 0,
}


def change(endpoint: Endpoint) -> str:
    return f"{LIST}{endpoint.pk}/change/"


def entered(**fields) -> dict:
    """A filled-in ServiceNow form."""
    return {
        "name": "ServiceNow",
        "slug": "servicenow",
        "base_url": "https://acme.example.com",
        "timezone": "Europe/Helsinki",
        "unknown_policy": "hold",
        "internal_comments": "may_leave",
        "max_in_flight": 16,
        "servicenow_auth": "basic",
        "servicenow_username": "oneio",
        "servicenow_password": "hunter2 ",
        **NO_ROWS,
        **fields,
    }


def make_servicenow(environment=None, **fields) -> Endpoint:
    fields = {"name": "ServiceNow", "slug": "servicenow", "entities": ()} | fields
    settings = {"auth": "basic", "username": "oneio"}
    return make_endpoint(
        "servicenow", environment, settings=settings, secrets={"password": "stored"}, **fields
    )


def text_of(answer) -> str:
    return answer.content.decode()


def test_adding_first_asks_for_the_type():
    make_environment()

    html = text_of(signed_in().get(f"{LIST}add/"))

    assert "Which system do you want to connect?" in html
    assert "?kind=servicenow" in html
    assert "?kind=jira" in html


def test_adding_without_environment_says_what_comes_first():
    assert "First an environment" in text_of(signed_in().get(f"{LIST}add/"))


def test_form_has_only_fields_of_its_type():
    html = text_of(signed_in().get(f"{LIST}add/?kind=servicenow"))

    assert 'name="servicenow_username"' in html
    assert "jira_" not in html
    assert 'value="sc_req_item"' in html


def test_added_endpoint_is_complete():
    environment = make_environment()
    rows = {
        "entity_types-TOTAL_FORMS": 1,
        "entity_types-INITIAL_FORMS": 0,
        "entity_types-0-name": "incident",
        "entity_types-0-kind": "incident",
        "entity_types-0-remote_name": "incident",
        "entity_types-0-status": "active",
    }

    signed_in().post(f"{LIST}add/?kind=servicenow", entered(environment=environment.pk, **rows))

    endpoint = Endpoint.objects.get()
    assert (endpoint.kind, endpoint.settings["username"]) == ("servicenow", "oneio")
    assert endpoint.credentials.secrets == {"password": "hunter2 "}
    assert EntityType.objects.get().environment == environment
    assert endpoint.gate.circuit == "closed"


def test_secrets_are_never_shown():
    endpoint = make_servicenow()

    html = text_of(signed_in().get(change(endpoint)))

    assert "Stored. Leave empty to keep it." in html
    assert 'value="stored"' not in html


def test_empty_secret_keeps_the_stored_one():
    endpoint = make_servicenow()

    signed_in().post(change(endpoint), entered(servicenow_password="", name="Renamed"))

    endpoint.refresh_from_db()
    assert endpoint.name == "Renamed"
    assert endpoint.credentials.secrets == {"password": "stored"}


def test_new_secret_drops_the_access_token():
    endpoint = make_servicenow()
    credentials = Credentials.objects.get(endpoint=endpoint)
    credentials.token, credentials.token_expires_at = "old", timezone.now()
    credentials.save()

    outbound_secrets.keep(endpoint, {"password": "new"})

    credentials = Credentials.objects.get(endpoint=endpoint)
    assert credentials.secrets == {"password": "new"}
    assert (credentials.token, credentials.token_expires_at) == (None, None)


def lose_key(settings) -> None:
    """Run on without the encryption key that opens what is stored, as a restarted process would."""
    settings.ENCRYPTION_KEYS = [{"id": "new", "key": b64encode(b"n" * 32).decode()}]
    forget_keys()


def test_page_opens_although_secrets_cannot_be_read(settings):
    endpoint = make_servicenow()
    lose_key(settings)

    html = text_of(signed_in().get(change(endpoint)))

    assert "The stored secrets cannot be read." in html
    assert "is missing from ONEIO_ENCRYPTION_KEYS. Add it back." in html
    assert "What is stored cannot be read. Enter it again." in html


def test_secrets_that_cannot_be_read_are_asked_for(settings):
    endpoint = make_servicenow()
    lose_key(settings)
    create_data_key(endpoint.organization_id)

    answer = signed_in().post(change(endpoint), entered(servicenow_password=""))

    assert "servicenow_password" in answer.context["adminform"].form.errors
    assert outbound_secrets.stored(endpoint).problem


def test_endpoint_without_secrets_is_saved_although_its_empty_ones_cannot_be_read(settings):
    endpoint = make_endpoint()
    lose_key(settings)
    create_data_key(endpoint.organization_id)

    outbound_secrets.keep(endpoint, {})

    assert outbound_secrets.stored(endpoint).problem == ""


def test_secrets_entered_again_take_the_place_of_unreadable_ones(settings):
    endpoint = make_servicenow()
    lose_key(settings)
    create_data_key(endpoint.organization_id)

    signed_in().post(change(endpoint), entered(servicenow_password="again"))

    assert Credentials.objects.get(endpoint=endpoint).secrets == {"password": "again"}
    assert "cannot be read" not in text_of(signed_in().get(change(endpoint)))


def test_secrets_that_cannot_be_stored_are_refused_in_words(settings):
    endpoint = make_servicenow()
    before = bytes(Credentials.objects.get(endpoint=endpoint).__dict__["secrets"])
    lose_key(settings)

    html = text_of(signed_in().post(change(endpoint), entered(servicenow_password="again")))

    assert "No secrets can be stored now." in html
    assert bytes(Credentials.objects.get(endpoint=endpoint).__dict__["secrets"]) == before


def test_credentials_that_cannot_be_read_are_tested_in_words(settings):
    endpoint = make_servicenow()
    lose_key(settings)

    html = text_of(signed_in().post(f"{LIST}{endpoint.pk}/test-credentials/", follow=True))

    assert "ServiceNow was not asked: its stored secrets cannot be read." in html


def test_name_taken_is_said_beside_the_field():
    environment = make_environment()
    make_servicenow(environment)
    second = make_servicenow(environment, name="Second", slug="second")

    answer = signed_in().post(change(second), entered(slug="second"))

    assert "Another endpoint of this environment has this name." in text_of(answer)
    assert answer.context["adminform"].form.errors.keys() == {"name"}


def test_missing_setting_is_said_beside_the_field():
    data = entered(environment=make_environment().pk, jira_email="")

    answer = signed_in().post(f"{LIST}add/?kind=jira", data)

    assert any(name.startswith("jira_") for name in answer.context["adminform"].form.errors)
    assert not Endpoint.objects.exists()


def test_codes_are_written_as_people_do():
    endpoint = make_servicenow()

    signed_in().post(change(endpoint), entered(unrecoverable_codes="422, 409"))

    endpoint.refresh_from_db()
    assert endpoint.unrecoverable_codes == [409, 422]


def reference(entity) -> dict:
    """What a form posts to add one reference."""
    row = {"path": "u_vendor_ticket", "referenced_entity": entity.pk, "position": 0}
    return {"references-TOTAL_FORMS": 1} | {f"references-0-{name}": value for name, value in row.items()}


def test_reference_to_another_endpoint_is_kept():
    endpoint = make_servicenow()
    vendor = make_endpoint(environment=endpoint.environment)

    signed_in().post(change(endpoint), entered(**reference(vendor.entity_types.get())))

    kept = endpoint.references.get()
    assert (kept.path, kept.referenced_endpoint, kept.environment) == (
        "u_vendor_ticket",
        vendor,
        endpoint.environment,
    )


@pytest.mark.parametrize(
    ("where", "said"),
    [("itself", "is found by its own id"), ("elsewhere", "belongs to another organization or environment")],
)
def test_unfit_reference_is_said_beside_the_field(where, said):
    endpoint = make_servicenow(entities=("incident",))
    other = endpoint if where == "itself" else make_endpoint()

    answer = signed_in().post(change(endpoint), entered(**reference(other.entity_types.get())))

    assert said in text_of(answer)
    assert not endpoint.references.exists()


def test_codes_that_are_none_are_refused():
    answer = signed_in().post(change(make_servicenow()), entered(success_codes="2xx"))

    assert answer.context["adminform"].form.errors.keys() == {"success_codes"}


def offer(client) -> tuple[str, str]:
    html = text_of(client.get(f"{LIST}generate-password/?name=receiver_password"))
    token = re.search(r'name="receiver_password-token" value="([^"]+)"', html)
    assert token
    return token[1], receiver.opened(token[1]) or ""


def test_generated_password_works_from_save_on():
    endpoint, client = make_servicenow(), signed_in()
    token, password = offer(client)
    assert receiver_logins.identify_token(password) is None

    client.post(
        change(endpoint), entered(**{"receiver_password-token": token, "receiver_password-grace": "24"})
    )

    username = endpoint.receiver_logins.get().username
    assert receiver_logins.identify(username, password) == endpoint


@pytest.mark.parametrize(("grace", "works"), [("24", True), ("0", False)])
def test_old_password_ends_when_chosen(grace, works):
    endpoint, client = make_servicenow(), signed_in()
    login, old = make_receiver_login(endpoint)
    token, _ = offer(client)

    client.post(
        change(endpoint), entered(**{"receiver_password-token": token, "receiver_password-grace": grace})
    )

    assert (receiver_logins.identify(login.username, old) is not None) is works
    assert ("Old password ends" in text_of(client.get(change(endpoint)))) is works


def test_password_stays_shown_after_an_error():
    endpoint, client = make_servicenow(), signed_in()
    token, password = offer(client)

    answer = client.post(
        change(endpoint),
        entered(name="", **{"receiver_password-token": token, "receiver_password-grace": "24"}),
    )

    assert password in text_of(answer)


def test_password_of_somebody_elses_making_is_refused():
    data = {"receiver_password-token": "weak", "receiver_password-grace": "24"}

    answer = signed_in().post(change(make_servicenow()), entered(**data))

    assert "Generate a new one" in text_of(answer)


@pytest.mark.parametrize("part", [{"username": "with:colon"}, {"grace": "9"}])
def test_unusable_receiver_entry_is_refused(part):
    endpoint, client = make_servicenow(), signed_in()
    token, _ = offer(client)
    data = {"token": token, "grace": "24", "username": "", **part}

    answer = client.post(change(endpoint), entered(**{f"receiver_password-{k}": v for k, v in data.items()}))

    assert answer.context["adminform"].form.errors.keys() == {"receiver_password"}


def test_username_of_another_endpoint_is_refused():
    login, _ = make_receiver_login()
    endpoint, client = make_servicenow(), signed_in()
    token, _ = offer(client)
    data = {"token": token, "grace": "24", "username": login.username}

    answer = client.post(
        change(endpoint), entered(**{f"receiver_password-{k}": v for k, v in data.items()}), follow=True
    )

    assert "The new password was not set." in text_of(answer)


@pytest.fixture
def remote(settings):
    """A system that answers 200 to everybody on the loopback network."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            refused = b64decode(given).endswith(b":wrong")
            body = b'{"result": []}'
            self.send_response(401 if refused else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    settings.ALLOW_LOOPBACK = True
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("verb", "said"), [("connection", "is reachable"), ("credentials", "accepted our credentials")]
)
def test_endpoint_that_answers_passes_its_tests(remote, verb, said):
    endpoint = make_servicenow(base_url=remote)

    answer = signed_in().post(f"{LIST}{endpoint.pk}/test-{verb}/", follow=True)

    assert f"ServiceNow {said}" in text_of(answer)


def test_rejected_credentials_are_said_in_words(remote):
    endpoint = make_servicenow(base_url=remote)
    outbound_secrets.keep(endpoint, {"password": "wrong"})

    answer = signed_in().post(f"{LIST}{endpoint.pk}/test-credentials/", follow=True)

    assert "our user name or password was rejected (HTTP 401)" in text_of(answer)


@pytest.mark.parametrize("what", ["connection", "credentials"])
def test_unreachable_system_is_said_in_words(what):
    endpoint = make_servicenow(base_url="http://127.0.0.1:9")

    answer = signed_in().post(f"{LIST}{endpoint.pk}/test-{what}/", follow=True)

    assert "ServiceNow cannot be reached." in text_of(answer)


def test_endpoint_without_address_says_so():
    endpoint = make_servicenow(base_url="")

    answer = signed_in().post(f"{LIST}{endpoint.pk}/test-connection/", follow=True)

    assert "has no base URL" in text_of(answer)


def test_operator_suspends_and_resumes():
    endpoint = make_servicenow()
    client = signed_in("operator", endpoint.environment)

    client.post(f"{LIST}{endpoint.pk}/suspend/")
    endpoint.refresh_from_db()
    suspended = endpoint.status
    client.post(f"{LIST}{endpoint.pk}/resume/")
    endpoint.refresh_from_db()

    assert (suspended, endpoint.status) == (EndpointStatus.SUSPENDED, EndpointStatus.ACTIVE)
    assert set(LogEntry.objects.values_list("change_message", flat=True)) == {"Suspended", "Resumed"}


def test_paused_endpoint_says_why_and_sends_again():
    endpoint = make_servicenow()
    EndpointGate.objects.filter(endpoint=endpoint).update(
        paused_at=timezone.now(), pause_reason="credentials"
    )
    client = signed_in()

    before = text_of(client.get(change(endpoint)))
    after = text_of(client.post(f"{LIST}{endpoint.pk}/unpause/", follow=True))

    assert "it rejected our user name or password" in before
    assert "it rejected our user name or password" not in after
    assert EndpointGate.objects.get(endpoint=endpoint).paused_at is None


@pytest.mark.parametrize("verb", ["test-connection", "test-credentials", "suspend", "resume", "unpause"])
def test_viewer_presses_no_button(verb):
    endpoint = make_servicenow()

    assert signed_in("viewer", endpoint.environment).post(f"{LIST}{endpoint.pk}/{verb}/").status_code == 403


def test_buttons_answer_to_posts_only():
    endpoint = make_servicenow()

    assert signed_in().get(f"{LIST}{endpoint.pk}/suspend/").status_code == 405


def test_other_organization_does_not_exist():
    endpoint = make_servicenow()
    stranger = signed_in("administrator", make_environment())

    assert stranger.post(f"{LIST}{endpoint.pk}/suspend/").status_code == 404
    assert "No endpoint yet" in text_of(stranger.get(LIST))
    assert stranger.get(change(endpoint)).status_code == 302


def test_viewer_sees_no_settings_fields():
    endpoint = make_servicenow()

    html = text_of(signed_in("viewer", endpoint.environment).get(change(endpoint)))

    assert "https://tickets.example.com" in html
    assert 'name="servicenow_username"' not in html
    assert "Generate password" not in html


def test_viewer_cannot_generate_a_password():
    client = signed_in("viewer", make_environment())

    assert client.get(f"{LIST}generate-password/").status_code == 403


def test_integrator_chooses_own_environments_only():
    mine, theirs = make_environment(), make_environment()

    html = text_of(signed_in("integrator", mine).get(f"{LIST}add/?kind=servicenow"))

    assert str(mine) in html
    assert str(theirs) not in html


@pytest.mark.parametrize(
    ("gate", "word"),
    [
        ({"circuit": "open", "closed_until": timezone.now()}, "Not answering"),
        ({"closed_until": timezone.now() + timedelta(hours=1)}, "Slowed down"),
        ({"paused_at": timezone.now(), "pause_reason": "credentials"}, "Paused"),
        ({}, "Operational"),
    ],
)
def test_list_says_how_endpoints_are(gate, word):
    endpoint = make_servicenow()
    EndpointGate.objects.filter(endpoint=endpoint).update(**gate) if gate else None

    assert word in text_of(signed_in().get(LIST))


def test_alert_says_what_to_do():
    endpoint = make_servicenow()
    Alert.objects.create(
        environment=endpoint.environment,
        endpoint=endpoint,
        kind=AlertKind.CREDENTIALS,
        what_to_do="Correct it.",
    )
    client = signed_in()

    assert "Correct it." in text_of(client.get("/admin/endpoints/alert/?open=1"))
    assert "Correct it." not in text_of(client.get("/admin/endpoints/alert/?open=0"))
