"""The receipt of ``vavl-run --privacy-receipt``: what a run read, wrote and opened.

Python reports every file and connection that Python code opens, and so do we. FFmpeg is handed open files and may open
nothing itself; ONNX Runtime opens the private copies of the graphs.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CONNECTIONS = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Receipt:
    """Notes what Python code of this process opens, from the moment it is made.

    Python offers no way to stop, so a process should make one receipt.
    """

    def __init__(self) -> None:
        self._read: dict[str, None] = {}  # in the order of opening
        self._written: dict[str, None] = {}
        self._connections: list[str] = []
        self._programs: list[str] = []
        sys.addaudithook(self._note)

    def lines(self, clips: list[Path], bundle: Path) -> Iterator[str]:
        """Tell what happened.

        Args:
            clips: The clips that were asked for.
            bundle: The bundle's folder.

        Yields:
            The lines of the receipt.
        """
        asked = {str(clip.absolute()) for clip in clips}
        inside = str(bundle.absolute())
        read = [name for name in self._read if Path(name).is_file()]
        others = [name for name in read if name not in asked and not _below(name, inside) and not _of_python(name)]
        kept = [name for name in self._written if Path(name).is_file()]
        gone = [name for name in self._written if not Path(name).exists()]
        yield f"clips read: {sum(name in asked for name in read)}"
        yield f"files of the bundle read: {sum(_below(name, inside) for name in read)}"
        yield f"other files read: {', '.join(others) or 'none'}"
        yield f"files written and kept: {', '.join(kept) or 'none'}"
        yield f"temporary files, removed again: {len(gone)}"
        yield f"connections: {', '.join(self._connections) or 'none'}"
        yield f"programs started: {', '.join(self._programs) or 'none'}"
        yield "results hold names, scores, counts and times; no sound and no picture is kept"

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes, os.PathLike)):
                name = str(Path(os.fsdecode(path)).absolute())
                if not name.startswith(("/dev/null", "/proc/", "/sys/")):
                    (self._written if flags & _WRITING else self._read)[name] = None
        elif event == "os.rename":
            if (source := str(Path(os.fsdecode(arguments[0])).absolute())) in self._written:
                del self._written[source]
                self._written[str(Path(os.fsdecode(arguments[1])).absolute())] = None
        elif event in _CONNECTIONS:
            self._connections.append(f"{event.partition('.')[2]} {arguments[-1]}")
        elif event == "subprocess.Popen":
            self._programs.append(str(arguments[0]))


def _below(name: str, folder: str) -> bool:
    return name.startswith(folder + os.sep)


def _of_python(name: str) -> bool:
    """Whether a file is part of the installation: code, libraries and their metadata."""
    code = Path(name).suffix in (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".pth", ".typed")
    return code or _below(name, sys.prefix) or _below(name, sys.base_prefix)
