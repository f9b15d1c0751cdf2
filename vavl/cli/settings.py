"""Commands whose parameters are settings objects: every field of such an object becomes an option or an argument."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from typer.models import ArgumentInfo, ParameterInfo

from vavl.cli.errors import exit_on_error
from vavl.errors import ConfigError, message_of


@dataclass(frozen=True)
class Without:
    """Marks a parameter ``Annotated[Settings, Without("field", …)]``: these fields keep their default.

    Args:
        *fields: Names of fields that become no option.
    """

    fields: frozenset[str]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", frozenset(fields))


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Let a function that takes settings objects be a typer command.

    A parameter whose type is a pydantic model is replaced by one command-line parameter per field. The help is the
    field's description, unless the field carries a ``typer.Option`` or ``typer.Argument`` of its own. Other parameters
    stay as they are. When the command runs, the objects are built and validated, all invalid values are reported at
    once by the names of their options, and errors of our own tree end the program with their exit code.

    Args:
        command: The function; annotations must be evaluated types.

    Returns:
        A function with one parameter per option, for ``typer.Typer.command``.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[type[BaseModel], dict[str, FieldInfo]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        model = _settings_of(hints[parameter.name])
        if model is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        left_out = {name for mark in get_args(hints[parameter.name])[1:] for name in mark.fields}
        fields = {name: field for name, field in model.model_fields.items() if name not in left_out}
        groups[parameter.name] = model, fields
        parameters += [_parameter(name, field) for name, field in fields.items()]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        with exit_on_error():
            built = {name: values.pop(name) for name in list(values) if name in hints and name not in groups}
            command(**built, **_build(groups, values))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _settings_of(hint: Any) -> type[BaseModel] | None:
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    info = _parameter_info(name, field)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.is_required() else field.default,
        annotation=Annotated[_plain(field.annotation), info],
    )


def _parameter_info(name: str, field: FieldInfo) -> ParameterInfo:
    for item in field.metadata:
        if isinstance(item, ParameterInfo):
            return item
    option: ParameterInfo = typer.Option(_flag(name), help=field.description)  # else a bool also gets --no-NAME
    return option


def _plain(annotation: Any) -> Any:
    """The type that typer parses: text for a choice, which pydantic checks; ``X | None`` stays."""
    if get_origin(annotation) is Literal:
        return str
    if get_origin(annotation) in (Union, UnionType):
        (inner,) = (_plain(part) for part in get_args(annotation) if part is not NoneType)
        return inner | None
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _build(
    groups: Mapping[str, tuple[type[BaseModel], dict[str, FieldInfo]]], values: Mapping[str, Any]
) -> dict[str, BaseModel]:
    built, invalid = {}, []
    for group, (model, fields) in groups.items():
        try:
            built[group] = model.model_validate({name: values[name] for name in fields})
        except ValidationError as error:
            for item in error.errors():
                name = str(item["loc"][0]) if item["loc"] else ""
                invalid.append(f"{_shown(name, fields.get(name))}: {message_of(item)}")
    if invalid:
        raise ConfigError("; ".join(invalid))
    return built


def _shown(name: str, field: FieldInfo | None) -> str:
    """The name of a field on the command line."""
    if field is None:
        return name
    info = _parameter_info(name, field)
    return info.metavar or name if isinstance(info, ArgumentInfo) else _flag(name)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
