"""The simulated ServiceNow put together."""

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Refused, SandboxApp, json_response
from endpoints.sandbox.outbox import Address
from endpoints.sandbox.servicenow.access import INTEGRATION_USER, Access, Credentials
from endpoints.sandbox.servicenow.attachments import AttachmentApi, Attachments
from endpoints.sandbox.servicenow.batch import BATCHED, BatchApi
from endpoints.sandbox.servicenow.pages import Pages
from endpoints.sandbox.servicenow.records import Records
from endpoints.sandbox.servicenow.rules import BusinessRules, Receiver
from endpoints.sandbox.servicenow.table_api import TableApi
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options

INSTANCE = "sandbox"
DEFAULT_PASSWORD = "oneio"  # noqa: S105 - of a simulated system on this machine
DEFAULT_CLIENT_SECRET = "oneio-secret"  # noqa: S105
API_KEY = "oneio-api-key"
LONGEST_ADDRESS = 16_000
TOO_LONG = "<html><head><title>414 Request-URI Too Long</title></head><body><h1>414</h1></body></html>"


class ServiceNowApp(SandboxApp):
    """Table, Attachment and Batch API, OAuth tokens, business rules and pages for people."""

    name = "servicenow"

    def __init__(self, store: Store, options: Options) -> None:
        receiver = Receiver(store)
        super().__init__(store, receiver.resolve, options.verify)
        receiver.start_with(Address(options.receiver_url, options.receiver_user, options.receiver_password))
        self.records = Records(store)
        self.attachments = Attachments(self.records)
        self.access = Access(store, _credentials(options))
        rules = BusinessRules(self.records, self.outbox, receiver, INSTANCE)
        self.records.seed()
        self.records.before.append(rules.before)
        self.records.after.append(rules.after)
        self.attachments.added.append(rules.attachment_added)
        for area in (
            self.access,
            rules,
            TableApi(self.records, self.access),
            AttachmentApi(self.records, self.attachments, self.access),
            BatchApi(self.handle),
            Pages(self.records, self.attachments, self.outbox, receiver),
        ):
            self.serve(area)

    def authorize(self, request: Request) -> None:
        """Ask every API request for credentials; the pages are open to whoever reaches this machine."""
        if len(request.full_path) > LONGEST_ADDRESS and BATCHED not in request.environ:
            raise Refused(414, TOO_LONG)
        if request.path.startswith("/api/"):
            self.access.user_of(request)

    def refuse_unknown(self, error: HTTPException) -> Response:
        """Answer as ServiceNow does for an address no API owns."""
        message = "Requested URI does not represent any resource" if error.code == 404 else error.name
        return json_response(
            {"error": {"message": message, "detail": None}, "status": "failure"}, error.code or 500
        )


def _credentials(options: Options) -> Credentials:
    passwords = {"admin": "admin", INTEGRATION_USER: options.password or DEFAULT_PASSWORD}
    return Credentials(passwords, options.client_secret or DEFAULT_CLIENT_SECRET, API_KEY)
