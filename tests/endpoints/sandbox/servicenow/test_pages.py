from tests.endpoints.sandbox.conftest import Instance, Receiver


def page(instance: Instance, path: str) -> str:
    answer = instance.call("GET", path, auth=None)
    assert answer.status_code == 200
    return answer.text


def test_person_creates_an_incident(posting: Instance, receiver: Receiver) -> None:
    form = {"short_description": "Mail is down", "urgency": "1", "person": "beth.anglin"}
    assert "Create incident" in page(posting, "/new")

    answer = posting.call("POST", "/new", data=form, auth=None)

    assert "INC0010001" in answer.text
    assert posting.app.outbox.wait_idle(60)
    assert receiver.bodies[0]["sys_updated_by"] == "beth.anglin"
    assert "r-1" in page(posting, answer.url.removeprefix(posting.url))


def test_person_changes_and_comments(posting: Instance, receiver: Receiver) -> None:
    sys_id = posting.create(short_description="a")["sys_id"]
    form = {"state": "2", "comments": "Line one\r\nline two", "work_notes": "internal"}

    answer = posting.call("POST", f"/incident/{sys_id}", data=form, auth=None)

    assert "Line one\nline two" in answer.text
    assert "In Progress" in answer.text
    assert posting.app.outbox.wait_idle(60)
    assert receiver.bodies[1]["sys_updated_by"] == "abel.tuter"


def test_saving_keeps_what_others_changed(servicenow: Instance, integration: Instance) -> None:
    sys_id = servicenow.create(state="1", description="a\nb")["sys_id"]
    form = {
        "state": "1",
        "was_state": "1",
        "description": "a\r\nb",
        "was_description": "a\nb",
        "urgency": "2",
    }
    integration.table("PATCH", f"incident/{sys_id}", {"state": "2", "description": "c"})

    servicenow.call("POST", f"/incident/{sys_id}", data={**form, "was_urgency": "3"}, auth=None)

    record = servicenow.table("GET", f"incident/{sys_id}").json()["result"]
    assert (record["state"], record["description"], record["urgency"]) == ("2", "c", "2")


def test_person_attaches_a_file(servicenow: Instance) -> None:
    sys_id = servicenow.create()["sys_id"]

    answer = servicenow.call(
        "POST", f"/incident/{sys_id}/attach", files={"file": ("日本.txt", b"text")}, auth=None
    )

    assert "日本.txt" in answer.text
    [file] = servicenow.records("sys_attachment")
    download = servicenow.call("GET", f"/file/{file['sys_id']}", auth=None)
    assert (download.content, file["sys_created_by"]) == (b"text", "abel.tuter")
    assert download.headers["Content-Disposition"].endswith("UTF-8''%E6%97%A5%E6%9C%AC.txt")


def test_list_finds_by_text(servicenow: Instance) -> None:
    servicenow.create(short_description="Mail is down")
    servicenow.create(short_description="VPN slow", correlation_id="SUP-7")

    assert "Mail is down" in page(servicenow, "/?search=mail")
    assert "Mail is down" not in page(servicenow, "/?search=sup-7")
    assert "No incidents" in page(servicenow, "/?search=nothing%5E")


def test_written_text_cannot_become_markup(servicenow: Instance) -> None:
    evil = "<script>alert(1)</script>{0.__class__}"
    sys_id = servicenow.create(short_description=evil, description=evil, comments=evil)["sys_id"]

    pages = page(servicenow, "/") + page(servicenow, f"/incident/{sys_id}")

    assert "<script>" not in pages
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{0.__class__}" in pages
