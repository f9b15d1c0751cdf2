"""One line instead of a traceback where a package is missing or cannot be loaded, or memory runs out."""

import contextlib
import sys
from collections.abc import Iterator

import typer

from vavl_runtime.cli.common import print_line
from vavl_runtime.errors import BackendUnavailableError

_OURS = ("vavl", "vavl_bench", "vavl_export", "vavl_runtime")


@contextlib.contextmanager
def exit_without_extra(extra: str | None) -> Iterator[None]:
    """End a command whose optional packages are not installed with the command that installs them.

    Args:
        extra: The extra that brings what the command imports; None if the base install has all of it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if extra is None or missing in ("", *_OURS, *sys.stdlib_module_names):
            raise  # a defect of ours, not of the installation
        import logging

        from vavl_runtime.backends.ort.session import INSTALL

        # No extra for tools names onnxruntime, so that the CPU's never comes beside the GPU's.
        command = INSTALL if missing == "onnxruntime" else f"pip install 'vavl-edge[{extra}]'"
        print_line(f"error: {missing} is not installed; {command}")
        logging.getLogger(__name__).debug("where the error came from", exc_info=error)
        raise typer.Exit(BackendUnavailableError.exit_code) from error
    except ImportError as error:  # of a shared library, as a rule
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        print_line(f"error: a library cannot be loaded ({error}); free memory, or install its package again")
        raise typer.Exit(BackendUnavailableError.exit_code) from error
    except MemoryError as error:
        print_line("error: out of memory; close other programs, or ask for fewer threads and jobs")
        raise typer.Exit(BackendUnavailableError.exit_code) from error
