"""The mapping editor: one rule's draft, tried on a real message while it is written."""
