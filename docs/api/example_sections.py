"""Griffe extension: a section ``Example:`` of a docstring is shown as code, as ``Examples:`` is."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Gives the section the plural name, the only one that Griffe's Google parser takes for doctests."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section in the docstring of each object that Griffe has read."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
