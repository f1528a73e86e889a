"""Configuration as text: endpoints, tables and rules written as readable YAML, compared, and brought in."""
