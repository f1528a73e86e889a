"""Jira over REST version 3 (documents) or 2 (wiki text): issues, comments, transitions, webhooks."""

from endpoints.adapters.jira.adapter import JiraAdapter

__all__ = ["JiraAdapter"]
