"""Formatted texts as systems write them: HTML, Markdown, Atlassian documents, wiki text, plain text."""
