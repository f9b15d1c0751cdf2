"""Every name in a public signature is itself public, and the names for type checkers are those at run time."""

import ast
import inspect
import typing
from pathlib import Path
from typing import Any

import pytest

import vavl_runtime

NAMES = [name for name in vavl_runtime.__all__ if not name.startswith("_")]


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(vavl_runtime.__file__).read_text("utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    named = {
        (alias.asname, node.module.removeprefix("vavl_runtime."))
        for node in guarded.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert named == set(vavl_runtime._HOMES.items())


def _signatures(thing: Any) -> list[Any]:
    if inspect.isfunction(thing):
        return [thing]
    if not inspect.isclass(thing) or issubclass(thing, BaseException):
        return []
    members = [value for name, value in vars(thing).items() if not name.startswith("_") or name == "__init__"]
    functions = [getattr(value, "__func__", getattr(value, "fget", value)) for value in members]
    return [function for function in functions if inspect.isfunction(function)]


def _leaves(hint: Any) -> set[Any]:
    arguments = [leaf for argument in typing.get_args(hint) for leaf in _leaves(argument)]
    return {hint, *arguments} if isinstance(hint, type) else set(arguments)


@pytest.mark.parametrize("name", NAMES)
def test_every_class_in_a_signature_is_public(name: str) -> None:
    public = {getattr(vavl_runtime, other) for other in NAMES if isinstance(getattr(vavl_runtime, other), type)}
    thing = getattr(vavl_runtime, name)
    hints = [hint for function in _signatures(thing) for hint in _hints(function)]
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        hints += [hint for key, hint in _hints_of(thing).items() if not key.startswith("_")]
    ours = {leaf for hint in hints for leaf in _leaves(hint) if leaf.__module__.startswith("vavl_")}
    assert {leaf.__qualname__ for leaf in ours - public} == set()


def _hints(function: Any) -> list[Any]:
    return list(_hints_of(function).values())


def _hints_of(thing: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(thing)
    except NameError:  # names that only type checkers import: pandas and pyarrow
        return {}
