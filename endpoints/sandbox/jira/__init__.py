"""A simulated Jira: REST API of versions 2 and 3, webhooks, and pages for people."""

from endpoints.sandbox.jira.app import JiraSandbox, create_app

__all__ = ["JiraSandbox", "create_app"]
