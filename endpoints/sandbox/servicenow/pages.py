"""Web pages on which a person creates and changes incidents by hand."""

from typing import Any

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import download, route
from endpoints.sandbox.outbox import Outbox
from endpoints.sandbox.pages import markup
from endpoints.sandbox.servicenow.access import INTEGRATION_USER
from endpoints.sandbox.servicenow.attachments import Attachments
from endpoints.sandbox.servicenow.query import Record
from endpoints.sandbox.servicenow.records import Records
from endpoints.sandbox.servicenow.rules import Receiver
from endpoints.sandbox.servicenow.schema import TABLES
from endpoints.sandbox.servicenow.values import InputReader, display_value

INCIDENT = TABLES["incident"]
SHOWN_INCIDENTS = 200
DEFAULT_PERSON = "abel.tuter"
PERSON_COOKIE = "acting"
LINKS = {"Incidents": "/", "New incident": "/new"}
STATE_MOODS = {"1": "info", "2": "warn", "3": "warn", "6": "good"}
PRIORITY_MOODS = {"1": "bad", "2": "warn"}
DELIVERY_MOODS = {"delivered": "good", "failed": "bad", "waiting": "warn"}
EDITABLE = (
    "short_description",
    "description",
    "state",
    "impact",
    "urgency",
    "caller_id",
    "assignment_group",
    "assigned_to",
    "cmdb_ci",
    "correlation_id",
    "comments",
    "work_notes",
)


class Pages:
    """List, create form and record page of incidents; people act under a name they choose."""

    def __init__(
        self, records: Records, attachments: Attachments, outbox: Outbox, receiver: Receiver
    ) -> None:
        self._records = records
        self._attachments = attachments
        self._outbox = outbox
        self._receiver = receiver

    @route("/")
    def show_list(self, request: Request) -> Response:
        """Show the newest incidents, those containing the search text when there is one."""
        search = request.args.get("search", "").strip()
        text = search.replace("^", "^^")
        query = f"numberLIKE{text}^ORshort_descriptionLIKE{text}^ORcorrelation_idLIKE{text}"
        found = self._records.find(INCIDENT, self._records.parse(INCIDENT, f"{query}^ORDERBYDESCnumber"))
        rows = [self._row(record) for record in found[:SHOWN_INCIDENTS]]
        headings = ("Number", "Short description", "State", "Priority", "Group", "Correlation ID")
        table = markup.table(
            (*headings, "Updated (UTC)"), rows, "No incidents. Create one with “New incident”."
        )
        body = markup.fill(
            _LIST, count=len(found), receiver=self._receiver_line(), search=search, table=table
        )
        return _page("Incidents", body)

    @route("/new")
    def show_form(self, request: Request) -> Response:
        """Show the form for a new incident."""
        empty = {**dict.fromkeys(INCIDENT.fields, ""), **INCIDENT.defaults}
        fields = self._fields(empty, request)
        return _page("New incident", markup.fill(_NEW, fields=fields, person=self._person_select(request)))

    @route("/new", methods=["POST"])
    def create(self, request: Request) -> Response:
        """Create an incident and show it."""
        record = self._records.insert(INCIDENT, self._form(request), _person(request))
        return _shown_next(request, record["sys_id"])

    @route("/incident/<sys_id>")
    def show_record(self, request: Request, sys_id: str) -> Response:
        """Show one incident with its journal, attachments and deliveries."""
        record = self._records.get(INCIDENT, sys_id)
        body = markup.fill(
            _RECORD,
            record=record,
            state=self._state(record),
            priority=self._priority(record),
            opened=markup.fill("Opened {} UTC by {}", record["opened_at"], record["sys_created_by"]),
            fields=self._fields(record, request),
            person=self._person_select(request),
            attached_by=self._person_select(request, "attached_by"),
            timeline=self._timeline(sys_id),
            files=self._files(sys_id),
            deliveries=self._deliveries(sys_id),
        )
        return _page(record["number"], body)

    @route("/incident/<sys_id>", methods=["POST"])
    def change(self, request: Request, sys_id: str) -> Response:
        """Save the fields, comment and work note of the form."""
        self._records.update(INCIDENT, sys_id, self._form(request), _person(request))
        return _shown_next(request, sys_id)

    @route("/incident/<sys_id>/attach", methods=["POST"])
    def attach(self, request: Request, sys_id: str) -> Response:
        """Attach the chosen file."""
        file = request.files.get("file")
        if file and file.filename:
            kind = file.mimetype or "application/octet-stream"
            self._attachments.add(INCIDENT.name, sys_id, file.filename, kind, file.read(), _person(request))
        return _shown_next(request, sys_id)

    @route("/file/<sys_id>")
    def send_file(self, request: Request, sys_id: str) -> Response:
        """Send an attached file; as a download, because its content comes from outside."""
        file = self._records.get(TABLES["sys_attachment"], sys_id)
        return download(self._attachments.content(sys_id), "application/octet-stream", file["file_name"])

    def _form(self, request: Request) -> dict[str, str]:
        form = {name: text.replace("\r\n", "\n") for name, text in request.form.items()}
        # Only what the person changed: meanwhile the integration may have changed the rest.
        changed = {
            name: form[name] for name in EDITABLE if name in form and form[name] != form.get(_was(name))
        }
        return InputReader(self._records, {}).values(INCIDENT, changed)

    def _shown(self, record: Record, name: str) -> str:
        return display_value(self._records, INCIDENT, name, record[name])

    def _state(self, record: Record) -> Markup:
        return markup.badge(self._shown(record, "state"), STATE_MOODS.get(record["state"], ""))

    def _priority(self, record: Record) -> Markup:
        return markup.badge(self._shown(record, "priority"), PRIORITY_MOODS.get(record["priority"], ""))

    def _row(self, record: Record) -> list[object]:
        link = markup.fill('<a href="/incident/{}">{}</a>', record["sys_id"], record["number"])
        group = self._shown(record, "assignment_group")
        updated = markup.fill('<span class="soft small">{}</span>', record["sys_updated_on"])
        badges = [self._state(record), self._priority(record)]
        return [link, record["short_description"], *badges, group, record["correlation_id"], updated]

    def _receiver_line(self) -> Markup:
        address = self._receiver.get()
        if address is None:
            return Markup("No receiver is set: business rules post nothing.")
        return markup.fill('Business rules post to <span class="mono">{}</span>', address.url)

    def _fields(self, record: Record, request: Request) -> Markup:
        choices = INCIDENT.choices
        return markup.joined(
            (
                markup.text_input(
                    "short_description", "Short description", record["short_description"], True, True
                ),
                markup.text_area("description", "Description", record["description"]),
                self._reference("caller_id", "Caller", record),
                markup.select("state", "State", choices["state"], record["state"]),
                markup.select("impact", "Impact", choices["impact"], record["impact"]),
                markup.select("urgency", "Urgency", choices["urgency"], record["urgency"]),
                self._reference("assignment_group", "Assignment group", record),
                self._reference("assigned_to", "Assigned to", record),
                self._reference("cmdb_ci", "Configuration item", record),
                markup.text_input("correlation_id", "Correlation ID", record["correlation_id"]),
                markup.text_area("comments", "Additional comments (customer visible)"),
                markup.text_area("work_notes", "Work notes"),
                *(markup.hidden(_was(name), record[name]) for name in EDITABLE),
            )
        )

    def _reference(self, name: str, label: str, record: Record) -> Markup:
        target = TABLES[INCIDENT.references[name]]
        rows = self._records.rows(target.name)
        choices = {"": "", **{row["sys_id"]: row[target.display] for row in rows}}
        return markup.select(name, label, choices, record[name])

    def _person_select(self, request: Request, name: str = "person") -> Markup:
        users = {row["user_name"]: row["name"] for row in self._records.rows("sys_user")}
        return markup.select(name, "Acting as", users, _person(request))

    def _timeline(self, sys_id: str) -> Markup:
        entries = [_entry(entry) for entry in reversed(self._records.journal(sys_id))]
        if not entries:
            return Markup('<div class="soft">No comments or work notes yet.</div>')
        return markup.fill('<ul class="timeline">{}</ul>', markup.joined(entries))

    def _files(self, sys_id: str) -> Markup:
        line = '<div><a href="/file/{}">{}</a> <span class="soft small">{} bytes, {}</span></div>'
        return markup.joined(
            markup.fill(line, file["sys_id"], file["file_name"], file["size_bytes"], file["sys_created_by"])
            for file in self._records.attachments(INCIDENT.name, sys_id)
        ) or Markup('<div class="soft">No attachments yet.</div>')

    def _deliveries(self, sys_id: str) -> Markup:
        posts = self._outbox.about_record(f"{INCIDENT.name}:{sys_id}")
        rows = [_delivery(post) for post in reversed(posts)]
        empty = "Business rules have posted nothing for this incident."
        return markup.table(("Posted (UTC)", "Answer and Response ID"), rows, empty)


def _page(title: str, body: Markup) -> Response:
    return markup.page("Sandbox ServiceNow", title, body, LINKS)


def _was(name: str) -> str:
    return f"was_{name}"


def _person(request: Request) -> str:
    chosen = request.form.get("person") or request.form.get("attached_by")
    return chosen or request.cookies.get(PERSON_COOKIE) or DEFAULT_PERSON


def _shown_next(request: Request, sys_id: str) -> Response:
    response = Response(headers={"Location": f"/incident/{sys_id}"}, status=303)
    response.set_cookie(PERSON_COOKIE, _person(request), samesite="Lax")
    return response


def _entry(entry: Record) -> Markup:
    public = entry["element"] == "comments"
    kind = "Additional comment" if public else "Work note"
    by = entry["sys_created_by"]
    mark = markup.badge("integration", "info") if by == INTEGRATION_USER else markup.NONE
    return markup.fill(
        '<li class="{}"><b>{}</b> {} <span class="soft small">{} · {}</span><p>{}</p></li>',
        "public" if public else "internal",
        by,
        mark,
        kind,
        entry["sys_created_on"],
        entry["value"],
    )


def _delivery(post: dict[str, Any]) -> list[object]:
    what = "Attachment" if post["url"] else "Ticket"
    answer = post["answer"] if isinstance(post["answer"], dict) else {}
    status = f"{post['state']} {post['status'] or post['error']}".strip()
    response_id = markup.fill('<span class="mono">{}</span>', answer.get("response_id", ""))
    sent = markup.fill('{}<br><span class="soft small">{}</span>', what, post["created"])
    return [sent, markup.fill("{}<br>{}", markup.badge(status, DELIVERY_MOODS[post["state"]]), response_id)]


_LIST = (
    '<div class="head"><div><h1>Incidents</h1><div class="soft small">{count} found. {receiver}</div></div>'
    '<form class="search">'
    '<input name="search" value="{search}" placeholder="Number, text or correlation ID">'
    '<button class="plain">Search</button><a class="button" href="/new">New incident</a></form></div>'
    '<div class="card flush">{table}</div>'
)
_NEW = (
    '<h1>New incident</h1><form method="post" class="card narrow"><div class="fields">{fields}</div>'
    '<div class="actions">{person}<button>Create incident</button></div></form>'
)
_RECORD = (
    '<div class="head"><div><h1>{record[number]} {state} {priority}</h1>'
    '<div class="soft small">{opened} · sys_id <span class="mono">{record[sys_id]}</span></div></div></div>'
    '<div class="columns"><form method="post" class="card" id="main"><h2>Incident</h2>'
    '<div class="fields">{fields}</div><div class="actions">{person}<button>Save</button></div></form>'
    '<div><div class="card"><h2>Comments and work notes</h2>{timeline}</div>'
    '<form class="card" method="post" enctype="multipart/form-data" '
    'action="/incident/{record[sys_id]}/attach">'
    '<h2>Attachments</h2>{files}<div class="actions">'
    '<input type="file" name="file" required aria-label="File">{attached_by}'
    '<button class="plain">Attach</button></div></form>'
    '<div class="card flush"><h2 class="inset">Deliveries by business rules</h2>{deliveries}</div>'
    "</div></div>"
)
