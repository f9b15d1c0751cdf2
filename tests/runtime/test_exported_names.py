"""Every name in a public signature is itself public, and the names for type checkers are those at run time."""

import pytest

import vavl_runtime
from tests.exported_names import guarded_imports, mentioned_classes

NAMES = [name for name in vavl_runtime.__all__ if not name.startswith("_")]


def test_type_checkers_see_the_same_names() -> None:
    assert guarded_imports(vavl_runtime) == {
        name: f"vavl_runtime.{module}" for name, module in vavl_runtime._HOMES.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_class_in_a_signature_is_public(name: str) -> None:
    public = {getattr(vavl_runtime, other) for other in NAMES if isinstance(getattr(vavl_runtime, other), type)}
    assert {leaf.__qualname__ for leaf in mentioned_classes(getattr(vavl_runtime, name)) - public} == set()
