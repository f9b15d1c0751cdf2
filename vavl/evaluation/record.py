"""Pydantic models that live in JSON files."""

from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError
from typing_extensions import Self

from vavl.config import StrictModel
from vavl.errors import ConfigError, list_invalid
from vavl_runtime.errors import InputError
from vavl_runtime.files import write_atomically


class JsonRecord(StrictModel):
    """A frozen model with one JSON file; floats survive the way there and back bit by bit."""

    indent: ClassVar[int | None] = 2

    @classmethod
    def create(cls, **values: object) -> Self:
        """Build from keyword arguments, with errors of our own tree.

        Raises:
            ConfigError: Unknown or missing fields, wrong types, or values that contradict each other; all are listed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{cls.__name__}: {list_invalid(error, 'record')}") from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read from the file that `write` made.

        Raises:
            ConfigError: The file is missing, not JSON, or not such a record.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a file of {cls.__name__}") from error
        except ValidationError as error:
            raise ConfigError(f"{path}: no valid {cls.__name__}: {list_invalid(error, 'record')}") from error
        except InputError as error:  # of an array inside, which does not know its file
            raise ConfigError(f"{path}: {error}") from error

    def write(self, path: Path) -> None:
        """Write as JSON, so that an old file survives any failure.

        Raises:
            OutputError: The place cannot be written.
        """
        write_atomically(path, (self.model_dump_json(indent=self.indent) + "\n").encode())
