"""What comes back from a system because we wrote to it is no news; what a person does there is."""

from collections.abc import Callable

from conversations.models import Conversation, Message, Participant
from tests.conversations.world import Line, states

Work = Callable[..., None]


def settle(line: Line, work: Work) -> None:
    """Let every webhook arrive and be worked on."""
    for _ in range(3):
        work()
        line.hear_jira()
    work()


def jira_states() -> list[str]:
    return list(Message.objects.filter(endpoint__kind="jira").order_by("id").values_list("state", flat=True))


def test_webhook_of_our_own_create_goes_nowhere(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)

    settle(line, work)

    assert jira_states() == ["echo"]
    assert Conversation.objects.count() == 1


def test_webhook_of_our_own_comment_goes_nowhere(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    work()
    note = {"sys_id": "c1", "element": "comments", "value": "Hello", "sys_created_by": "abel"}

    line.incident("a" * 32, "update", comments=[note])
    settle(line, work)

    assert set(jira_states()) == {"echo"}
    assert line.comments() == ["Hello"]


def test_comment_written_in_jira_arrives_on_the_incident(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    settle(line, work)

    line.jira.call("POST", f"/rest/api/2/issue/{line.issue['id']}/comment", json={"body": "On it"})
    settle(line, work)

    notes = [row["value"] for row in line.servicenow.records("sys_journal_field")]
    assert notes == ["On it"]


def test_status_change_in_jira_arrives_on_the_incident(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    settle(line, work)

    line.jira.call(
        "POST", f"/rest/api/2/issue/{line.issue['id']}/transitions", json={"transition": {"id": "11"}}
    )
    settle(line, work)

    assert line.record("a" * 32)["close_notes"] == "In Progress"


def test_value_changed_there_and_back_arrives_each_time(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    settle(line, work)

    for title in ("two", "three", "two"):
        line.incident("a" * 32, "update", short_description=title)
        settle(line, work)

        assert line.issue["fields"]["summary"] == title


def test_webhook_that_overtakes_the_answer_opens_no_second_conversation(line: Line, work: Work) -> None:
    line.join(back=[{"source": "priority", "target": "resolution_notes"}])
    line.jira.call("PUT", "/_sandbox/settings", json={"automation": True})
    line.jira.fault(method="POST", path="/issue$", webhook_first=True, drop="after", times=1)
    line.incident("a" * 32)
    work()

    line.hear_jira()
    work(patience=2.5)

    assert Conversation.objects.count() == 1
    assert Participant.objects.get(endpoint=line.jira_endpoint).external_id == line.issue["id"]
    assert states(endpoint=line.jira_endpoint) == ["delivered"]
    assert line.record("a" * 32)["close_notes"] == line.issue["fields"]["priority"]["name"]  # by automation


def test_unchanged_update_is_not_sent(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    settle(line, work)
    before = line.jira.call("GET", "/_sandbox/requests")

    line.incident("a" * 32, "update", urgency="3 - Low")
    work()

    assert line.jira.call("GET", "/_sandbox/requests") == before
    assert states(endpoint=line.jira_endpoint) == ["delivered", "skipped"]
