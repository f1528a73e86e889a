"""Simulated outside systems that people and tests talk to over HTTP; they share no code with the product."""
