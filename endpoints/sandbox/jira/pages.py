"""Web pages on which a person creates and changes issues by hand."""

from typing import Any

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Refused, download, route
from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.catalog import AFFECTED_USERS, EXTERNAL_REFERENCE, IMPACT, User
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.fields import BadFieldsError, Values, check_required, read_fields
from endpoints.sandbox.jira.page_parts import (
    comment_entries,
    delivery_rows,
    history_rows,
    issue_row,
    plain,
    priority_badge,
    status_badge,
    when,
)
from endpoints.sandbox.jira.shapes import INTERNAL
from endpoints.sandbox.jira.webhooks import Receiver
from endpoints.sandbox.outbox import Outbox
from endpoints.sandbox.pages import markup
from endpoints.sandbox.store import Record

ACCENT = "#0b57c4"
LINKS = {"Issues": "/", "Create issue": "/create"}
ACTOR_COOKIE = "jira_acting"
SHOWN_ISSUES = 200
PAGE_VERSION = 2
NO_CHOICE = {"": "None"}


class Pages:
    """List, create form and page of an issue; people act under a name they choose."""

    def __init__(self, jira: Deployment, receiver: Receiver, outbox: Outbox) -> None:
        self._jira = jira
        self._tracker = jira.tracker
        self._receiver = receiver
        self._outbox = outbox

    @route("/")
    def show_list(self, request: Request) -> Response:
        """Show the newest issues, those containing the search text when there is one."""
        search = request.args.get("search", "").strip()
        found = self._tracker.issues(lambda issue: _contains(issue, search.casefold()))
        found.sort(key=lambda issue: -int(issue["id"]))
        headings = ("Key", "Type", "Summary", "Status", "Priority", "Labels", "External reference", "Updated")
        rows = [issue_row(issue) for issue in found[:SHOWN_ISSUES]]
        table = markup.table(headings, rows, "No issues. Create one with “Create issue”.")
        receiver = self._receiver_line()
        return _page(
            "Issues", markup.fill(_LIST, count=len(found), receiver=receiver, search=search, table=table)
        )

    @route("/create")
    def show_form(self, request: Request) -> Response:
        """Show the form for a new issue."""
        return self._form_page(request)

    @route("/create", methods=["POST"])
    def create(self, request: Request) -> Response:
        """Create an issue and show it."""
        try:
            values = self._values(request, catalog.FIELDS)
            check_required(values)
        except BadFieldsError as error:
            return self._form_page(request, error)
        return _shown_next(request, self._tracker.create(values, _actor(request)))

    @route("/browse/<key>")
    def show_issue(self, request: Request, key: str) -> Response:
        """Show one issue with workflow, comments, attachments, history and webhooks."""
        return self._issue_page(request, self._issue(key))

    @route("/browse/<key>", methods=["POST"])
    def edit(self, request: Request, key: str) -> Response:
        """Save the fields that were changed in the form."""
        editable = [field for field in catalog.FIELDS if field.edit]
        with self._tracker.store.transaction():
            issue = self._issue(key)
            try:
                values = self._values(request, editable)
            except BadFieldsError as error:
                return self._issue_page(request, issue, error)
            return _shown_next(request, self._tracker.edit(issue, values, _actor(request)))

    @route("/browse/<key>/transition", methods=["POST"])
    def take_transition(self, request: Request, key: str) -> Response:
        """Take the step of the workflow whose button was pressed, if it is still available."""
        with self._tracker.store.transaction():
            issue = self._issue(key)
            steps = catalog.transitions_from(issue["fields"]["status"])
            step = catalog.by_id(steps, request.form.get("step", ""))
            if step:
                self._tracker.move(issue, step, {}, _actor(request))
            return _shown_next(request, issue)

    @route("/browse/<key>/comment", methods=["POST"])
    def comment(self, request: Request, key: str) -> Response:
        """Add a comment, internal when ticked."""
        body = request.form.get("body", "").replace("\r\n", "\n").strip()
        properties = {INTERNAL: {"internal": True}} if request.form.get("internal") else {}
        with self._tracker.store.transaction():
            issue = self._issue(key)
            if body:
                content = {"body": body, "visibility": None, "properties": properties}
                self._tracker.add_comment(issue, content, _actor(request))
            return _shown_next(request, issue)

    @route("/browse/<key>/attach", methods=["POST"])
    def attach(self, request: Request, key: str) -> Response:
        """Attach the chosen file."""
        file = request.files.get("file")
        with self._tracker.store.transaction():
            issue = self._issue(key)
            if file and file.filename:
                kind = file.mimetype or "application/octet-stream"
                self._tracker.attach(issue, file.filename, kind, file.read(), _actor(request))
            return _shown_next(request, issue)

    @route("/actor", methods=["POST"])
    def choose_actor(self, request: Request) -> Response:
        """Act as the chosen person from now on and show the page again."""
        back = request.form.get("back", "/")
        return _go(request, back if back.startswith("/") and not back.startswith("//") else "/")

    @route("/file/<attachment_id>")
    def download(self, request: Request, attachment_id: str) -> Response:
        """Send an attached file; as a download, because its content comes from outside."""
        attachment = self._tracker.store.get("attachment", attachment_id)
        if attachment is None:
            raise _not_found("There is no such file.")
        content = self._tracker.store.get_bytes("content", attachment_id)
        return download(content, "application/octet-stream", attachment["filename"])

    def _issue(self, key: str) -> Record:
        issue = self._tracker.find(key)
        if issue is None:
            raise _not_found(f"There is no issue {key}.")
        return issue

    def _values(self, request: Request, allowed: Any) -> Values:
        """Return what the person changed; meanwhile the integration may have changed the rest."""
        form = {name: text.replace("\r\n", "\n") for name, text in request.form.items()}
        changed = {
            field.id: _from_form(field, form[field.id])
            for field in allowed
            if field.id in form and form[field.id] != form.get(_was(field.id))
        }
        return read_fields(changed, allowed, self._jira.asking(PAGE_VERSION))

    def _form_page(self, request: Request, error: BadFieldsError | None = None) -> Response:
        shown = {field.id: request.form.get(field.id, "") for field in catalog.FIELDS}
        defaults = {"project": "10000", "issuetype": "10004", "priority": catalog.DEFAULT_PRIORITY.id}
        shown |= {name: shown[name] or value for name, value in defaults.items()}
        project = markup.select("project", "Project", _names(catalog.PROJECTS), shown["project"])
        body = markup.fill(
            _NEW, error=_error(error), project=project, fields=_inputs(shown), actor=_actor_select(request)
        )
        return _page("Create issue", body, 400 if error else 200)

    def _issue_page(self, request: Request, issue: Record, error: BadFieldsError | None = None) -> Response:
        fields = issue["fields"]
        stored = {field.id: _to_form(field, fields.get(field.id)) for field in catalog.FIELDS}
        shown = stored | dict(request.form.items()) if error else stored
        was = markup.joined(markup.hidden(_was(name), stored[name]) for name in stored)
        steps = catalog.transitions_from(fields["status"])
        button = '<button class="plain" name="step" value="{}">{}</button>'
        creator = catalog.by_id(catalog.USERS, fields["creator"]) or catalog.AUTOMATION
        body = markup.fill(
            _ISSUE,
            issue=issue,
            summary=fields["summary"],
            status=status_badge(issue),
            priority=priority_badge(issue),
            created=markup.fill("Created {} by {}", when(fields["created"]), creator.name),
            error=_error(error),
            fields=markup.joined((_inputs(shown), was)),
            steps=markup.joined(markup.fill(button, step.id, step.name) for step in steps),
            resolution=_resolution(fields["resolution"]),
            actor=_actor_select(request),
            comments=comment_entries(self._tracker.comments(issue)),
            files=self._files(issue),
            history=history_rows(self._tracker.history(issue)),
            deliveries=delivery_rows(self._outbox.about_record(issue["id"])),
        )
        return _page(issue["key"], body, 400 if error else 200)

    def _files(self, issue: Record) -> Markup:
        line = '<div><a href="/file/{}">{}</a> <span class="soft small">{} bytes, {}</span></div>'
        return markup.joined(
            markup.fill(line, file["id"], file["filename"], file["size"], when(file["created"]))
            for file in self._tracker.attachments(issue)
        ) or Markup('<div class="soft">No attachments yet.</div>')

    def _receiver_line(self) -> Markup:
        if not self._receiver.url:
            return Markup("No webhook is registered: nothing is posted.")
        return markup.fill('Webhooks go to <span class="mono">{}</span>', self._receiver.shown_url)


def _page(title: str, body: Markup, status: int = 200) -> Response:
    return markup.page("Sandbox Jira", title, body, LINKS, ACCENT, status)


def _not_found(text: str) -> Refused:
    refused = Refused(404, None)
    refused.response = _page(
        "Not found", markup.fill('<h1>Not found</h1><p>{} <a href="/">All issues</a></p>', text), 404
    )
    return refused


def _was(name: str) -> str:
    return f"was_{name}"


def _actor(request: Request) -> User:
    chosen = request.form.get("actor") or request.cookies.get(ACTOR_COOKIE) or ""
    return catalog.by_id(catalog.PEOPLE_AND_INTEGRATION, chosen) or catalog.ADA


def _actor_select(request: Request) -> Markup:
    people = _names(catalog.PEOPLE_AND_INTEGRATION)
    return markup.fill(_ACTOR, request.path, markup.select("actor", "Acting as", people, _actor(request).id))


def _shown_next(request: Request, issue: Record) -> Response:
    return _go(request, f"/browse/{issue['key']}")


def _go(request: Request, path: str) -> Response:
    response = Response(headers={"Location": path}, status=303)
    response.set_cookie(ACTOR_COOKIE, _actor(request).id, samesite="Lax")
    return response


def _contains(issue: Record, text: str) -> bool:
    fields = issue["fields"]
    parts = (issue["key"], fields["summary"], fields.get(EXTERNAL_REFERENCE.id) or "", *fields["labels"])
    return any(text in part.casefold() for part in parts)


def _names(entries: Any) -> dict[str, str]:
    return {entry.id: entry.name for entry in entries}


def _inputs(shown: dict[str, str]) -> Markup:
    users = NO_CHOICE | _names(catalog.PEOPLE_AND_INTEGRATION)
    options = NO_CHOICE | _names(catalog.OPTIONS)
    # A sub-task needs a parent, which this form cannot give; one that has it stays what it is.
    types = _names(each for each in catalog.ISSUE_TYPES if not each.subtask or each.id == shown["issuetype"])
    return markup.joined(
        (
            markup.text_input("summary", "Summary", shown["summary"], wide=True, required=True),
            markup.text_area("description", "Description", shown["description"]),
            markup.select("issuetype", "Issue type", types, shown["issuetype"]),
            markup.select("priority", "Priority", _names(catalog.PRIORITIES), shown["priority"]),
            markup.select("assignee", "Assignee", users, shown["assignee"]),
            markup.text_input("labels", "Labels (separated by spaces)", shown["labels"]),
            markup.text_input(EXTERNAL_REFERENCE.id, EXTERNAL_REFERENCE.name, shown[EXTERNAL_REFERENCE.id]),
            markup.select(IMPACT.id, IMPACT.name, options, shown[IMPACT.id]),
            markup.text_input(AFFECTED_USERS.id, AFFECTED_USERS.name, shown[AFFECTED_USERS.id]),
        )
    )


def _to_form(field: catalog.Field, value: Any) -> str:
    if field.kind == "labels":
        return " ".join(value or [])
    if field.kind == "number":
        return "" if value is None else f"{value:g}"
    return plain(value)


def _from_form(field: catalog.Field, text: str) -> Any:
    """Return a form's text as the value a client of the API would send."""
    if field.kind == "labels":
        return text.split()
    if not text and not field.required:
        return None
    if field.kind == "number":
        return _number(text)
    return text if field.kind in ("line", "document", "date") else {"id": text}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _error(error: BadFieldsError | None) -> Markup:
    if error is None:
        return markup.NONE
    names = {field.id: field.name for field in catalog.FIELDS}
    text = " ".join(f"{names.get(name, name)}: {message}" for name, message in error.errors.items())
    return markup.fill('<div class="card">{} {}</div>', markup.badge("Not saved", "bad"), text)


def _resolution(resolution_id: str | None) -> Markup:
    resolution = catalog.by_id(catalog.RESOLUTIONS, resolution_id or "")
    if resolution is None:
        return markup.NONE
    return markup.fill('<span class="soft">Resolution: {}</span>', resolution.name)


_LIST = (
    '<div class="head"><div><h1>Issues</h1><div class="soft small">{count} found. {receiver}</div></div>'
    '<form class="search">'
    '<input name="search" value="{search}" placeholder="Key, text, label or reference">'
    '<button class="plain">Search</button><a class="button" href="/create">Create issue</a></form></div>'
    '<div class="card flush">{table}</div>'
)
_ACTOR = (
    '<form method="post" action="/actor" onchange="this.submit()">'
    '<input type="hidden" name="back" value="{}">'
    "{}<noscript><button>Switch</button></noscript></form>"
)
_NEW = (
    '<div class="head narrow"><h1>Create issue</h1>{actor}</div>{error}'
    '<form method="post" class="card narrow">'
    '<div class="fields">{project}<div></div>{fields}</div>'
    '<div class="actions"><button>Create issue</button></div></form>'
)
_ISSUE = (
    '<div class="head"><div><div class="soft small">{issue[key]} · {created}</div>'
    "<h1>{summary} {status} {priority}</h1></div>{actor}</div>{error}"
    '<div class="columns"><div>'
    '<form method="post" class="card"><h2>Issue</h2><div class="fields">{fields}</div>'
    '<div class="actions"><button>Save</button></div></form>'
    '<div class="card flush"><h2 class="inset">History</h2>{history}</div>'
    "</div><div>"
    '<form class="card" method="post" action="/browse/{issue[key]}/transition"><h2>Workflow</h2>'
    '<div class="actions">{steps}{resolution}</div></form>'
    '<div class="card"><h2>Comments</h2>{comments}'
    '<form method="post" action="/browse/{issue[key]}/comment"><div class="actions">'
    '<textarea name="body" required aria-label="New comment" placeholder="Add a comment"></textarea>'
    '<button class="plain">Comment</button>'
    '<span><input type="checkbox" name="internal" value="1" aria-label="Internal note"> Internal note</span>'
    "</div></form></div>"
    '<form class="card" method="post" enctype="multipart/form-data" action="/browse/{issue[key]}/attach">'
    '<h2>Attachments</h2>{files}<div class="actions">'
    '<input type="file" name="file" required aria-label="File"><button class="plain">Attach</button>'
    "</div></form>"
    '<div class="card flush"><h2 class="inset">Webhook deliveries</h2>{deliveries}</div>'
    "</div></div>"
)
