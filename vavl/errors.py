"""Errors of training and of what it reads; their base is `vavl_runtime.errors.VavlError`.

VavlError
├── InputError
│   ├── ConfigError             a configuration, run folder or checkpoint is wrong     exit 3
│   └── CorpusError             a corpus has problems, all of them listed              exit 3
└── EncoderUnavailableError     pre-trained weights cannot be found                    exit 3
"""

from pydantic import ValidationError

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


def list_invalid(error: ValidationError, whole: str) -> str:
    """List every invalid field of a validation error on one line.

    Args:
        error: What pydantic found.
        whole: Name for problems that concern no single field.

    Returns:
        ``field: problem; other.field: problem``.
    """
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or whole}: {item['msg']}" for item in error.errors())
