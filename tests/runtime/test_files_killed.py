"""Whatever moment a process is killed at, an older output is there whole, or the new one is."""

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.kills.changes import Changes
from vavl_runtime import files
from vavl_runtime.exchange import exchange
from vavl_runtime.files import folder_beside, name_leftovers_in, remove_folder

fork = multiprocessing.get_context("fork")  # the child needs nothing but what is imported already


def killed_at_every_change(
    work: Callable[[Path], None], prepare: Callable[[Path], None], place: Path
) -> Iterator[Path]:
    """Folders in which work was killed before its first change, its second, …, until it was not killed."""
    for at in itertools.count(1):
        folder = place / str(at)
        folder.mkdir()
        prepare(folder)
        child = fork.Process(target=_work, args=(work, folder, at))
        child.start()
        child.join()
        yield folder
        if child.exitcode == 0:
            assert at > 3  # there were changes at which it was killed
            return
        assert child.exitcode == -signal.SIGKILL


def _work(work: Callable[[Path], None], folder: Path, at: int) -> None:
    Changes(folder, at, signal.SIGKILL).watch()
    work(folder)


def make_old(folder: Path) -> None:
    (folder / "out").mkdir()
    for name in ("a", "b"):
        (folder / "out" / name).write_text("old")


def replace_by_new(folder: Path) -> None:
    with folder_beside(folder / "out", overwrite=True) as new:
        for name in ("a", "b"):
            (new / name).write_text("new")


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


OLD, NEW = dict.fromkeys("ab", "old"), dict.fromkeys("ab", "new")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    probes = [tmp_path / "one", tmp_path / "other"]
    for probe in probes:
        probe.touch()
    if not exchange(*probes):
        pytest.skip("this file system exchanges no names")
    for folder in killed_at_every_change(replace_by_new, make_old, tmp_path):
        assert content(folder / "out") in (OLD, NEW), folder


def test_a_folder_is_put_back_where_names_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "exchange", lambda one, other: False)
    missing = 0
    for folder in killed_at_every_change(replace_by_new, make_old, tmp_path):
        missing += not (folder / "out").exists()
        with pytest.raises(ZeroDivisionError), folder_beside(folder / "out", overwrite=True):
            raise ZeroDivisionError
        assert content(folder / "out") in (OLD, NEW), folder
    assert missing
    assert (
        sum("put back; a run that was going to replace it did not finish" in said for said in caplog.messages)
        == missing
    )


def test_a_removed_folder_is_whole_or_gone(tmp_path: Path) -> None:
    for folder in killed_at_every_change(lambda folder: remove_folder(folder / "out"), make_old, tmp_path):
        assert not (folder / "out").exists() or content(folder / "out") == OLD, folder


def test_exchange(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    make_old(tmp_path)
    assert not exchange(one, other)  # there is nothing to exchange with
    if exchange(one, tmp_path / "out"):
        assert content(one) == OLD and (tmp_path / "out").read_text() == "1"


@pytest.mark.parametrize("can", [True, False])
def test_a_link_is_replaced_and_its_folder_stays(can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can:
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    make_old(tmp_path)
    (tmp_path / "out").rename(tmp_path / "real")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    replace_by_new(tmp_path)
    assert content(tmp_path / "out") == NEW and content(tmp_path / "real") == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "real"]


def test_everything_unfinished_in_a_folder_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in (".a.pt.abcd_123", ".b.old.abcd_123", "c.abcd_123", ".lock", ".x.journal"):
        (tmp_path / name).touch()
    name_leftovers_in(tmp_path)
    name_leftovers_in(tmp_path / "missing")
    assert caplog.messages == [
        f"{tmp_path / '.a.pt.abcd_123'}: unfinished; remove it, unless another run is writing a.pt now",
        f"{tmp_path / '.b.old.abcd_123'}: unfinished; remove it, unless another run is writing b now",
    ]
