"""Pydantic models that are stored as JSON files."""

from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError
from typing_extensions import Self

from vavl.config import StrictModel
from vavl.errors import ConfigError, list_invalid
from vavl_runtime.errors import InputError
from vavl_runtime.files import write_atomically


class JsonRecord(StrictModel):
    """A frozen model that is stored as one JSON file; floats are restored exactly."""

    indent: ClassVar[int | None] = 2

    @classmethod
    def create(cls, **values: object) -> Self:
        """Build a record from keyword arguments.

        Raises:
            ConfigError: Fields are unknown or missing, types are wrong, or values contradict each other.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{cls.__name__}: {list_invalid(error)}") from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from a file written by `write`.

        Raises:
            ConfigError: The file is missing, not JSON, or not a valid record.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a file of {cls.__name__}") from error
        except ValidationError as error:
            raise ConfigError(f"{path}: not a valid {cls.__name__}: {list_invalid(error)}") from error
        except InputError as error:  # raised by an array inside the record, without the file's name
            raise ConfigError(f"{path}: {error}") from error

    def write(self, path: Path) -> None:
        """Write the record as JSON. If writing fails, an earlier file is kept.

        Raises:
            OutputError: The file cannot be written.
        """
        write_atomically(path, (self.model_dump_json(indent=self.indent) + "\n").encode())
