"""Finds the classes that the signatures and fields of public names mention."""

import ast
import inspect
import typing
from pathlib import Path
from types import ModuleType
from typing import Any


def guarded_imports(package: ModuleType) -> dict[str, str]:
    """The names that a package imports for type checkers alone, with their modules."""
    tree = ast.parse(Path(str(package.__file__)).read_text("utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        str(alias.asname): node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def mentioned_classes(thing: Any) -> set[type]:
    """Our own classes in the signatures of a function or a class, and in the fields of a class."""
    hints = [hint for function in _signatures(thing) for hint in _hints(function).values()]
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        hints += [hint for key, hint in _hints(thing).items() if not key.startswith("_")]
    return {leaf for hint in hints for leaf in _leaves(hint) if leaf.__module__.startswith("vavl")}


def _signatures(thing: Any) -> list[Any]:
    if inspect.isfunction(thing):
        return [thing]
    if not inspect.isclass(thing) or issubclass(thing, BaseException):
        return []
    members = [value for name, value in vars(thing).items() if not name.startswith("_") or name == "__init__"]
    functions = [getattr(value, "__func__", getattr(value, "fget", value)) for value in members]
    return [function for function in functions if inspect.isfunction(function)]


def _leaves(hint: Any) -> set[type]:
    arguments = [leaf for argument in typing.get_args(hint) for leaf in _leaves(argument)]
    return {hint, *arguments} if isinstance(hint, type) else set(arguments)


def _hints(thing: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(thing)
    except NameError:  # names that only type checkers import: pandas and pyarrow
        return {}
