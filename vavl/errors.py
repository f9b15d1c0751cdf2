"""Errors of training and of what it reads; their base is `vavl_runtime.errors.VavlError`.

VavlError
├── InputError
│   ├── ConfigError             a configuration, run folder or checkpoint is wrong     exit 3
│   └── CorpusError             a corpus has problems, all of them listed              exit 3
└── EncoderUnavailableError     pre-trained weights cannot be found                    exit 3
"""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from vavl_runtime.errors import InputError, VavlError


class ConfigError(InputError):
    """A configuration or checkpoint contradicts itself or lacks a part.

    Args:
        message: What came, what was expected and how to mend it.
        argument: Name of the keyword argument that would resolve the problem, if there is one. A command-line
            program uses it to name its own option.

    Example:
        >>> ConfigError("run: holds a run with other settings", argument="restart").argument
        'restart'
    """

    kind = "config"

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class CorpusError(InputError):
    """A corpus has bad files, rows, labels or partitions; the message lists all of them, one per line.

    Args:
        message: A summary, then one line per problem.
        argument: As in `ConfigError`.
    """

    kind = "corpus"

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class EncoderUnavailableError(VavlError):
    """Pre-trained weights cannot be found."""

    kind = "encoder_unavailable"
    exit_code = 3


def list_invalid(error: ValidationError) -> str:
    """List everything that a validation error found, on one line.

    Args:
        error: The error.

    Returns:
        ``field: problem; other.field: problem``; problems that concern no single field have no name before them.
    """
    named = ((".".join(map(str, item["loc"])), message_of(item)) for item in error.errors())
    return "; ".join(f"{name}: {message}" if name else message for name, message in named)


def message_of(item: ErrorDetails) -> str:
    """The message of one problem, without pydantic's prefix for messages of our own validators."""
    return item["msg"].removeprefix("Value error, ")
