"""The settings of a Jira endpoint: what the form asks, and what the answers mean."""

from __future__ import annotations

from dataclasses import dataclass

from endpoints.adapters.base import EndpointConfig, Setting

SETTINGS = (
    Setting(
        "deployment",
        "Deployment",
        "Whether Atlassian runs this Jira or you do.",
        default="cloud",
        choices=(("cloud", "Cloud"), ("data_center", "Data Center or Server")),
    ),
    Setting(
        "api_version",
        "REST version",
        "3 keeps texts as Atlassian documents; 2 as wiki text.",
        default="3",
        choices=(("3", "3"), ("2", "2")),
        only_if=("deployment", "cloud"),
    ),
    Setting(
        "auth",
        "Authentication",
        "How we log in to Jira.",
        required=True,
        default="basic",
        choices=(("basic", "E-mail and API token"), ("bearer", "Personal access token")),
    ),
    Setting(
        "email",
        "E-mail or user name",
        "The integration user; on Cloud its e-mail address.",
        only_if=("auth", "basic"),
    ),
    Setting(
        "api_token",
        "API token, password or access token",
        "Made in the integration user's account settings.",
        secret=True,
        required=True,
    ),
    Setting("project", "Project key", "New issues are made in this project, such as OPS."),
    Setting(
        "reference_field",
        "Reference field",
        "Id of a one-line text field (such as customfield_10050) in which we mark issues that we made. "
        "When empty, we mark them with a label that begins with oneio-.",
    ),
    Setting(
        "option_fields",
        "Select fields",
        "Ids of custom fields with choices, separated by commas: their values are sent as options.",
    ),
    Setting(
        "document_fields",
        "Multi-line fields",
        "Ids of custom multi-line text fields, separated by commas: REST version 3 wants documents there.",
    ),
    Setting(
        "internal_comments",
        "Internal comments",
        "What happens to a comment that customers must not read. A plain Jira project has no internal "
        "comments unless they are restricted to a role.",
        default="refuse",
        choices=(
            ("refuse", "Hold the delivery"),
            ("jsm", "Internal note (Jira Service Management only)"),
            ("role", "Restrict to the role below"),
            ("as_public", "Everyone who sees the issue may read it"),
        ),
    ),
    Setting(
        "internal_comment_role",
        "Role for internal comments",
        "Project role that may read them, such as Administrators.",
        only_if=("internal_comments", "role"),
    ),
    Setting(
        "unmarked_comments",
        "Comments without a visibility mark",
        "How to read a comment when Jira says neither whether it is internal nor what type its project has.",
        default="internal",
        choices=(("internal", "Internal"), ("public", "Public")),
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """The answers, with defaults filled in. `api` is the path that all requests begin with."""

    cloud: bool
    documents: bool
    bearer: bool
    email: str
    project: str
    reference_field: str
    option_fields: frozenset[str]
    document_fields: frozenset[str]
    internal_comments: str
    internal_comment_role: str

    @property
    def api(self) -> str:
        """Root of the REST API in the version that texts are written for."""
        return "/rest/api/3" if self.documents else "/rest/api/2"

    @property
    def search(self) -> str:
        """Where this deployment takes JQL."""
        return f"{self.api}/search/jql" if self.cloud else f"{self.api}/search"


def options_of(endpoint: EndpointConfig) -> Options:
    """Read an endpoint's settings."""

    def text(name: str, default: str = "") -> str:
        return str(endpoint.settings.get(name) or default).strip()

    cloud = text("deployment", "cloud") == "cloud"
    return Options(
        cloud=cloud,
        documents=cloud and text("api_version", "3") == "3",
        bearer=text("auth") == "bearer",
        email=text("email"),
        project=text("project"),
        reference_field=text("reference_field"),
        option_fields=_listed(text("option_fields")),
        document_fields=_listed(text("document_fields")),
        internal_comments=text("internal_comments", "refuse"),
        internal_comment_role=text("internal_comment_role"),
    )


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
