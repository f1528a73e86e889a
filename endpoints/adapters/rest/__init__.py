"""The generic REST endpoint type, told by a declaration; other types are declarations in code."""

from endpoints.adapters.rest.adapter import RestAdapter
from endpoints.adapters.rest.declaration import RestDeclaration
from endpoints.adapters.rest.loading import DeclarationError, declaration_from_mapping, declaration_from_text

__all__ = [
    "DeclarationError",
    "RestAdapter",
    "RestDeclaration",
    "declaration_from_mapping",
    "declaration_from_text",
]
