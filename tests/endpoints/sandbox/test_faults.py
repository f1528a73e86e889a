import time

import pytest
import requests

from tests.endpoints.sandbox.conftest import Instance, Receiver


def switch_on(instance: Instance, **fault: object) -> None:
    answer = instance.call(
        "PUT", "/_sandbox/faults", json=[{"method": "POST", "path": "/incident$", **fault}]
    )
    assert answer.status_code == 200, answer.text


def test_status_fault_applies_nothing(servicenow: Instance) -> None:
    switch_on(servicenow, status=503, headers={"Retry-After": "7"}, body={"error": "busy"}, times=1)

    first = servicenow.table("POST", "incident", {"short_description": "a"})
    second = servicenow.table("POST", "incident", {"short_description": "b"})

    assert (first.status_code, first.headers["Retry-After"], first.json()) == (503, "7", {"error": "busy"})
    assert second.status_code == 201
    assert [each["short_description"] for each in servicenow.records("incident")] == ["b"]


def test_status_fault_can_hide_success(servicenow: Instance) -> None:
    switch_on(servicenow, status=502, body="<html>bad gateway</html>", apply=True)

    answer = servicenow.table("POST", "incident", {"short_description": "a"})

    assert (answer.status_code, answer.text) == (502, "<html>bad gateway</html>")
    assert len(servicenow.records("incident")) == 1


def test_answer_dropped_after_applying(servicenow: Instance) -> None:
    switch_on(servicenow, drop="after", times=1)

    with pytest.raises(requests.ConnectionError):
        servicenow.table("POST", "incident", {"short_description": "applied"})

    assert [each["short_description"] for each in servicenow.records("incident")] == ["applied"]


def test_request_dropped_before_applying(servicenow: Instance) -> None:
    switch_on(servicenow, drop="before", times=1)

    with pytest.raises(requests.ConnectionError):
        servicenow.table("POST", "incident", {"short_description": "lost"})

    assert servicenow.records("incident") == []


def test_delay_holds_the_answer_back(servicenow: Instance) -> None:
    switch_on(servicenow, delay=0.3)
    began = time.monotonic()

    answer = servicenow.table("POST", "incident", {})

    assert answer.status_code == 201
    assert time.monotonic() - began >= 0.3


def test_webhook_overtakes_the_answer(posting: Instance, receiver: Receiver) -> None:
    switch_on(posting, webhook_first=True)
    switch_on_receiver = [{"path": "/messages", "delay": 0.3}]
    requests.put(receiver.base_url + "/_sandbox/faults", json=switch_on_receiver, timeout=5)

    posting.create(short_description="a")

    assert len(receiver.posts) == 1


def test_faults_are_listed_and_cleared(servicenow: Instance) -> None:
    switch_on(servicenow, status=500, times=2)
    servicenow.table("POST", "incident", {})

    left = servicenow.call("GET", "/_sandbox/faults").json()
    cleared = servicenow.call("DELETE", "/_sandbox/faults").json()

    assert (left[0]["times"], left[0]["status"], cleared) == (1, 500, [])


@pytest.mark.parametrize(
    "faults",
    [{}, ["x"], [{"drop": "never"}], [{"status": 9}], [{"path": "("}], [{"times": "x"}], [{"tmes": 1}]],
)
def test_senseless_faults_are_refused(servicenow: Instance, faults: object) -> None:
    answer = servicenow.call("PUT", "/_sandbox/faults", json=faults)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_requests_are_listed_with_status(servicenow: Instance) -> None:
    servicenow.call("DELETE", "/_sandbox/requests")
    servicenow.table("GET", "incident/none", sysparm_fields="number")

    [entry] = servicenow.call("GET", "/_sandbox/requests").json()

    path = "/api/now/table/incident/none?sysparm_fields=number"
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", path, 404)
