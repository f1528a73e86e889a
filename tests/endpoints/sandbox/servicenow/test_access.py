from typing import Any

import pytest

from tests.endpoints.sandbox.conftest import Instance

CLIENT = {"client_id": "oneio-client", "client_secret": "oneio-secret"}
PERSON = {"grant_type": "password", "username": "oneio", "password": "oneio"}


def token(instance: Instance, **form: str) -> dict[str, Any]:
    answer = instance.call("POST", "/oauth_token.do", data={**CLIENT, **form}, auth=None)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def status_with(instance: Instance, access_token: str) -> int:
    headers = {"Authorization": f"Bearer {access_token}"}
    return instance.call("GET", "/api/now/table/incident", headers=headers, auth=None).status_code


def creator(instance: Instance, **options: Any) -> str:
    answer = instance.call("POST", "/api/now/table/incident", json={}, **options)
    name: str = answer.json()["result"]["sys_created_by"]
    return name


@pytest.mark.parametrize("auth", [None, ("admin", "wrong"), ("oneio", ""), ("abel.tuter", "")])
def test_wrong_credentials_get_401(servicenow: Instance, auth: tuple[str, str] | None) -> None:
    answer = servicenow.call("GET", "/api/now/table/incident", auth=auth)

    error = {"message": "User Not Authenticated", "detail": "Required to provide Auth information"}
    assert answer.status_code == 401
    assert answer.json() == {"error": error, "status": "failure"}


def test_each_way_in_acts_as_its_user(servicenow: Instance) -> None:
    bearer = {"Authorization": f"Bearer {token(servicenow, **PERSON)['access_token']}"}

    assert creator(servicenow) == "admin"
    assert creator(servicenow, auth=("oneio", "oneio")) == "oneio"
    assert creator(servicenow, auth=None, headers=bearer) == "oneio"
    assert creator(servicenow, auth=None, headers={"x-sn-apikey": "oneio-api-key"}) == "oneio"


def test_token_answer_has_documented_form(servicenow: Instance) -> None:
    answer = token(servicenow, **PERSON)

    assert {**answer, "access_token": "", "refresh_token": ""} == {
        "access_token": "",
        "refresh_token": "",
        "scope": "useraccount",
        "token_type": "Bearer",
        "expires_in": 1799,
    }


def test_client_may_log_in_by_basic(servicenow: Instance) -> None:
    client = (CLIENT["client_id"], CLIENT["client_secret"])

    answer = servicenow.call("POST", "/oauth_token.do", data=PERSON, auth=client)

    assert status_with(servicenow, answer.json()["access_token"]) == 200


def test_client_credentials_act_as_integration_user(servicenow: Instance) -> None:
    answer = token(servicenow, grant_type="client_credentials")

    assert "refresh_token" not in answer
    assert (
        creator(servicenow, auth=None, headers={"Authorization": f"Bearer {answer['access_token']}"})
        == "oneio"
    )


def test_refresh_token_gives_new_access(servicenow: Instance) -> None:
    first = token(servicenow, **PERSON)

    second = token(servicenow, grant_type="refresh_token", refresh_token=first["refresh_token"])

    assert second["access_token"] != first["access_token"]
    assert status_with(servicenow, second["access_token"]) == 200
    assert status_with(servicenow, first["refresh_token"]) == 401


def test_tokens_end_with_their_lifetime(servicenow: Instance) -> None:
    servicenow.call("PUT", "/_sandbox/oauth", json={"lifetime": 0})
    ended = token(servicenow, **PERSON)
    servicenow.call("PUT", "/_sandbox/oauth", json={"lifetime": 60})
    valid = token(servicenow, **PERSON)

    assert (ended["expires_in"], valid["expires_in"]) == (0, 60)
    assert status_with(servicenow, ended["access_token"]) == 401
    assert status_with(servicenow, valid["access_token"]) == 200


def test_revoked_tokens_can_be_refreshed(servicenow: Instance) -> None:
    first = token(servicenow, **PERSON)

    servicenow.call("DELETE", "/_sandbox/oauth")

    assert status_with(servicenow, first["access_token"]) == 401
    second = token(servicenow, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert status_with(servicenow, second["access_token"]) == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({**CLIENT, **PERSON, "client_secret": "wrong"}, "invalid_client"),
        ({**CLIENT, **PERSON, "password": "wrong"}, "server_error"),
        ({**CLIENT, "grant_type": "refresh_token", "refresh_token": "x"}, "server_error"),
        ({**CLIENT, "grant_type": "implicit"}, "unsupported_grant_type"),
        ({}, "invalid_client"),
    ],
)
def test_bad_token_requests_are_refused(servicenow: Instance, form: dict[str, str], error: str) -> None:
    answer = servicenow.call("POST", "/oauth_token.do", data=form, auth=None)

    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert answer.json()["error_description"]
