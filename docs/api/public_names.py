"""MkDocs hook: fills the API pages with every public name, so that no page lists names by hand.

A line ``<!-- public names of PACKAGE -->`` becomes one mkdocstrings entry for each name in the package's ``__all__``
that the page does not place itself.
"""

import re
from importlib import import_module
from typing import Any

MARK = re.compile(r"^<!-- public names of (?P<package>\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark of a page; MkDocs calls this for every page."""
    return MARK.sub(lambda match: _entries(match["package"], markdown), markdown)


def _entries(package: str, markdown: str) -> str:
    names = [name for name in import_module(package).__all__ if not name.startswith("_")]
    placed = re.findall(rf"^::: {package}\.(\w+)$", markdown, re.MULTILINE)
    return "\n\n".join(f"::: {package}.{name}" for name in sorted(names, key=str.casefold) if name not in placed)
