"""Which files a rule carries to its target: pure, by name, type and size."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file that may be carried over. `key` is ours; `size` in bytes, None if its sender did not say."""

    key: str
    name: str
    content_type: str
    size: int | None = None
    source_endpoint_id: int = 0


@dataclass(frozen=True, slots=True)
class FileFilter:
    """A rule's attachment mapping. Extensions are compared without the dot and whatever their case; content
    types may end with `*`; a file of unknown size is taken, and refused when it proves too large."""

    from_message: bool = True
    from_conversation: bool = False
    allowed_extensions: frozenset[str] = frozenset()
    blocked_extensions: frozenset[str] = frozenset()
    without_extension: bool = True
    content_types: tuple[str, ...] = ()
    max_bytes: int | None = None

    def takes(self, file: CarriedFile) -> bool:
        """Whether the file may go to the target."""
        return (
            self._takes_extension(extension_of(file.name))
            and self._takes_type(file.content_type)
            and (self.max_bytes is None or file.size is None or file.size <= self.max_bytes)
        )

    def _takes_extension(self, extension: str) -> bool:
        if not extension:
            return self.without_extension
        wanted = not self.allowed_extensions or extension in self.allowed_extensions
        return wanted and extension not in self.blocked_extensions

    def _takes_type(self, content_type: str) -> bool:
        plain = content_type.partition(";")[0].strip().lower()
        return not self.content_types or any(fnmatchcase(plain, wanted) for wanted in self.content_types)


def extensions(words: list[str]) -> frozenset[str]:
    """Extensions as people write them, `.PDF` or `pdf`, as they are compared."""
    return frozenset(word.strip().lstrip(".").casefold() for word in words if word.strip(" ."))


def extension_of(name: str) -> str:
    """What follows the last dot of a file name; empty where the name has none, or begins with it."""
    stem, dot, extension = name.strip().rpartition(".")
    return extension.casefold() if dot and stem else ""
