"""The simulated Jira as a whole: log-in, control addresses, automation rule, parts put together."""

import time
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Refused, SandboxApp, json_response, route
from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.answers import ACTOR, refuse
from endpoints.sandbox.jira.attachment_api import AttachmentApi
from endpoints.sandbox.jira.catalog import AUTOMATION, INTEGRATION, User
from endpoints.sandbox.jira.catalog_api import CatalogApi
from endpoints.sandbox.jira.comment_api import CommentApi
from endpoints.sandbox.jira.deployment import BadSettingError, Deployment
from endpoints.sandbox.jira.issue_api import IssueApi
from endpoints.sandbox.jira.pages import Pages
from endpoints.sandbox.jira.property_api import PropertyApi
from endpoints.sandbox.jira.search import SearchApi
from endpoints.sandbox.jira.tracker import Event, Tracker
from endpoints.sandbox.jira.webhooks import Receiver, Webhooks
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options

DEFAULT_TOKEN = "jira-sandbox-token"  # noqa: S105 - a simulated system that holds no secrets
PRIORITY_BY_AUTOMATION = catalog.PRIORITIES[1].id
LABEL_BY_AUTOMATION = "triaged"
NOT_LOGGED_IN = "Client must be authenticated to access this resource."


class JiraSandbox(SandboxApp):
    """A Jira of `deployment` Cloud or Server.

    Every person logs in with e-mail (or login) and `token`; the token as Bearer is the integration user.
    """

    name = "jira"

    def __init__(
        self,
        store: Store,
        token: str = "",
        verify: bool | str = True,
        deployment: str = "Cloud",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.receiver = Receiver(store)
        super().__init__(store, self.receiver.resolve, verify)
        self.token = token or DEFAULT_TOKEN
        self.tracker = Tracker(store, clock)
        self.deployment = Deployment(self.tracker, deployment == "Server", lambda: self.base_url)
        webhooks = Webhooks(self.deployment, self.receiver, self.outbox)
        # The webhook of a change comes before those of what automation makes of it.
        self.tracker.listeners += [webhooks.send, self._automate]
        for area in (CatalogApi, IssueApi, CommentApi, AttachmentApi, PropertyApi, SearchApi):
            self.serve(area(self.deployment))
        self.serve(Pages(self.deployment, self.receiver, self.outbox))

    def authorize(self, request: Request) -> None:
        """Find out who asks; only the API asks for a log-in, and serverInfo answers anybody."""
        if not request.path.startswith("/rest/"):
            return
        user = self._user(request)
        if user:
            request.environ[ACTOR] = user
        elif not request.path.endswith("/serverInfo"):
            refused = refuse(401, NOT_LOGGED_IN)
            reason = "AUTHENTICATED_FAILED" if request.authorization else "AUTHENTICATION_DENIED"
            refused.response.headers["X-Seraph-LoginReason"] = reason
            refused.response.headers["WWW-Authenticate"] = 'Basic realm="Jira"'
            raise refused

    def handle(self, request: Request) -> Response:
        """Answer one request and tell in a header who it was taken to come from."""
        response = super().handle(request)
        user: User | None = request.environ.get(ACTOR)
        if user and self.deployment.server:
            response.headers["X-AUSERNAME"] = user.login
        elif user:
            response.headers["X-AACCOUNTID"] = user.id
        if user:
            response.headers["X-Seraph-LoginReason"] = "OK"
        return response

    def refuse_unknown(self, error: HTTPException) -> Response:
        """Answer for an unknown address or method."""
        return json_response({"errorMessages": [error.description], "errors": {}}, error.code or 500)

    @route("/_sandbox/settings", methods=["GET", "PUT"])
    def settings(self, request: Request) -> Response:
        """Show or change the settings: index_lag (seconds), automation (true or false)."""
        if request.method == "PUT":
            try:
                self.deployment.change_settings(request.get_json(force=True, silent=True))
            except BadSettingError as error:
                raise Refused(400, {"error": str(error)}) from error
        return json_response(self.deployment.settings)

    @route("/_sandbox/receiver", methods=["GET", "PUT"])
    def registered_webhook(self, request: Request) -> Response:
        """Show or replace the URL webhooks go to; `user` and `password` add HTTP Basic."""
        if request.method == "PUT":
            body = request.get_json(force=True, silent=True)
            self._register(body if isinstance(body, dict) else {})
            self.outbox.retry_now()
        return json_response({"url": self.receiver.url})

    def _register(self, body: dict[str, Any]) -> None:
        parts = [body.get(name, "") for name in ("url", "user", "password")]
        if "url" not in body or not all(isinstance(part, str) for part in parts):
            raise Refused(400, {"error": "Give an object with url and, for HTTP Basic, user and password."})
        self.receiver.register(*parts)

    def _user(self, request: Request) -> User | None:
        given = request.authorization
        if given is None:
            return None
        if given.type == "bearer":
            return INTEGRATION if given.token == self.token else None
        if given.type != "basic" or given.password != self.token:
            return None
        name = (given.username or "").casefold()
        people = catalog.PEOPLE_AND_INTEGRATION
        return next((user for user in people if name in (user.email, user.login)), None)

    def _automate(self, event: Event) -> None:
        if event.kind != "jira:issue_created" or not self.deployment.settings["automation"]:
            return
        labels = [*event.issue["fields"]["labels"], LABEL_BY_AUTOMATION]
        values = {"priority": PRIORITY_BY_AUTOMATION, "labels": list(dict.fromkeys(labels))}
        self.tracker.edit(event.issue, values, AUTOMATION)


def create_app(store: Store, options: Options) -> JiraSandbox:
    """Build the application over a store; the options name the receiver and the API token."""
    app = JiraSandbox(store, options.password, options.verify)
    app.receiver.register_at_start(options.receiver_url, options.receiver_user, options.receiver_password)
    return app
