"""Folders that a killed process left are removed by the next one, and nobody else's are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vavl_runtime.bundle.private_folder import PrivateFolder, remove_abandoned
from vavl_runtime.errors import OutputError

pytest.importorskip("fcntl", reason="locks of files")
MAKE = """
import sys, time
from pathlib import Path
from vavl_runtime.bundle.private_folder import PrivateFolder
folder = PrivateFolder(Path(sys.argv[1]))
(folder.path / "weights.bin").write_bytes(b"x")
print("made", flush=True)
time.sleep(60)
"""


def age(folder: Path) -> None:
    before = time.time() - 1000
    os.utime(folder, (before, before))


def test_one_that_is_closed_is_gone(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    assert list(folder.path.iterdir()) == []
    assert next(tmp_path.iterdir()).stat().st_mode & 0o077 == 0
    folder.close()
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (left,) = tmp_path.iterdir()
        age(left)
        remove_abandoned(tmp_path)
        assert left.is_dir()  # its process lives
        process.send_signal(signal.SIGKILL)
        process.wait()
    with PrivateFolder(tmp_path):
        assert not left.exists()


def test_what_is_young_or_not_ours_stays(tmp_path: Path) -> None:
    for name in ("vavl-bundle", "other-12345678"):
        (tmp_path / name).mkdir()
        age(tmp_path / name)
    young = tmp_path / "vavl-young123"
    young.mkdir()
    (young / "lock").touch()
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_a_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder for temporary files .*; set TMPDIR"):
        PrivateFolder(tmp_path / "missing")
