"""Whether ``vavl-run`` reads clips in processes of their own, and with which limits."""

from typing import TYPE_CHECKING

import typer

from vavl_runtime.cli.common import print_line

if TYPE_CHECKING:
    from vavl_runtime.bundle.manifest import Manifest
    from vavl_runtime.media.limits import ClipLimits


def read_limits(text: str | None) -> "ClipLimits":
    """Read the value of ``--limits``; what cannot be read is bad usage."""
    from vavl_runtime.errors import InputError
    from vavl_runtime.media.limits import ClipLimits

    try:
        return ClipLimits.parse(text or "")
    except InputError as error:
        raise typer.BadParameter(str(error).replace("limits:", "--limits:", 1)) from error


def choose_jobs(
    jobs: int | None,
    isolate: bool | None,
    *,
    limits_given: bool,
    one_process: str | None,
    folder: bool,
    on_gpu: bool,
    manifest: "Manifest",
) -> int | None:
    """Decide how many processes read clips.

    Args:
        jobs: ``--jobs``; each of them is a process apart.
        isolate: ``--isolate`` or ``--no-isolate``; None if neither is given.
        limits_given: Whether ``--limits`` is given.
        one_process: An option in use that tells of one process only.
        folder: Whether some clips were found in a folder, so that nobody named them.
        on_gpu: Whether the graphs run on a GPU. A process apart finds faces on the CPU, so there it must be asked for.
        manifest: Says how much shared memory a process apart needs. Without that, none is started unasked.

    Returns:
        The number, or None for this process.
    """
    asked = jobs is not None or isolate is True or limits_given
    if isolate is False:
        if jobs is not None or limits_given:
            other = "--jobs" if jobs is not None else "--limits"
            raise typer.BadParameter(f"{other} reads clips in processes of their own; leave --no-isolate out")
        return None
    if one_process is not None and asked:
        other = "--jobs" if jobs is not None else "--isolate" if isolate else "--limits"
        raise typer.BadParameter(f"{one_process} tells of one process; leave {other} out")
    if asked:
        return jobs or 1
    return 1 if folder and not on_gpu and one_process is None and _has_room(manifest) else None


def _has_room(manifest: "Manifest") -> bool:
    from vavl_runtime.errors import OutputError
    from vavl_runtime.serving.slots import require_room

    try:
        require_room(manifest, 1)
    except OutputError as error:
        print_line(f"warning: clips are read without limits, in this process ({error})")
        return False
    return True


def warn_of_missing_limits() -> None:
    """Say what this system does not enforce."""
    from vavl_runtime.serving.restraints import CAN_LIMIT_MEMORY, CAN_LIMIT_TIME

    missing = [name for name, can in (("memory", CAN_LIMIT_MEMORY), ("time", CAN_LIMIT_TIME)) if not can]
    if missing:
        print_line(f"warning: this system does not limit the {' or '.join(missing)} of a process; the rest holds")
