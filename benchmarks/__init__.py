"""Measures how fast the product is, as in production, beside the least that durable delivery can cost."""
