"""What is kept of an exchange for people to read: the request without secrets, the answer within bounds."""

import pytest
from requests.structures import CaseInsensitiveDict

from endpoints.adapters.base import Step
from endpoints.adapters.exchange import CONFIRMATION_KEPT, Progress, as_answered, as_sent
from endpoints.http import HttpAnswer
from endpoints.outcomes import Outcome, Result


def answer(body: bytes = b"{}", **headers: str) -> HttpAnswer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(200, CaseInsensitiveDict(names), body, 0.12345)


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "Client-Secret"])
def test_secret_header_is_never_kept(name):
    sent = as_sent(Step("create", "POST", "/tickets", headers={name: "k3y", "Idempotency-Key": "ours"}))

    assert "k3y" not in repr(sent)
    assert sent["headers"] == {"Idempotency-Key": "ours"}


def test_answer_is_kept_up_to_its_bound():
    kept = as_answered(answer(b"x" * 10), 4)

    assert (kept["body"], kept["is_cut"], kept["seconds"]) == ("xxxx", True, 0.123)


def test_only_telling_headers_are_kept():
    kept = as_answered(answer(Content_Type="text/plain", Set_Cookie="session=1"), 4)

    assert kept["headers"] == {"Content-Type": "text/plain"}


def test_letters_cut_in_half_do_not_break_it():
    assert as_answered(answer("ä".encode()), 1)["body"] == "\ufffd"


def test_plan_shows_the_answer_to_its_first_step():
    progress = Progress()
    for number in (1, 2):
        progress.add(Outcome(Result.CONFIRMED, status=200, request={"n": number}, answer={"n": number}))

    assert progress.finished().answer == {"n": 1}
    assert CONFIRMATION_KEPT < 64 * 1024
