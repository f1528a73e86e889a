"""Which files a rule takes: by name, type and size."""

import pytest

from routing.files import CarriedFile, FileFilter, extension_of, extensions


def file(
    name: str = "report.PDF", content_type: str = "application/pdf", size: int | None = 100
) -> CarriedFile:
    return CarriedFile("k", name, content_type, size)


@pytest.mark.parametrize(
    ("only", "given", "taken"),
    [
        (FileFilter(), file(), True),
        (FileFilter(allowed_extensions=extensions([".pdf", "PNG"])), file(), True),
        (FileFilter(allowed_extensions=extensions(["png"])), file(), False),
        (FileFilter(blocked_extensions=extensions(["exe"])), file("setup.Exe"), False),
        (FileFilter(blocked_extensions=extensions(["exe"])), file(), True),
        (FileFilter(without_extension=False), file("README"), False),
        (FileFilter(without_extension=False), file(".profile"), False),
        (FileFilter(allowed_extensions=extensions(["txt"])), file("README"), True),
        (FileFilter(content_types=("image/*",)), file("a.png", "image/png"), True),
        (FileFilter(content_types=("image/*",)), file(), False),
        (FileFilter(content_types=("text/plain",)), file("a.txt", "Text/Plain; charset=utf-8"), True),
        (FileFilter(max_bytes=100), file(), True),
        (FileFilter(max_bytes=99), file(), False),
        (FileFilter(max_bytes=99), file(size=None), True),
    ],
)
def test_filter_takes_what_it_says(only: FileFilter, given: CarriedFile, taken: bool) -> None:
    assert only.takes(given) is taken


@pytest.mark.parametrize(
    ("name", "extension"), [("a.tar.gz", "gz"), ("a", ""), (".a", ""), ("a.", ""), ("A.TXT ", "txt")]
)
def test_extension_is_what_follows_the_last_dot(name: str, extension: str) -> None:
    assert extension_of(name) == extension
