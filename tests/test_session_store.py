"""What the store promises to the fixtures that use it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.session_store import SessionStore


def test_many_askers_make_it_once(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("whole")

    made: list[Path] = []
    with ThreadPoolExecutor(4) as pool:
        stores = [SessionStore(tmp_path / "store") for _ in range(8)]
        folders = list(pool.map(lambda store: store.get("thing", make), stores))
    assert len(made) == 1
    assert {*folders} == {tmp_path / "store" / "thing"}
    assert (folders[0] / "file").read_text() == "whole"


def test_a_failure_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("planted")

    store = SessionStore(tmp_path / "store")
    with pytest.raises(ValueError, match="planted"):
        store.get("thing", fail)
    assert list(store.get("thing", lambda folder: None).iterdir()) == []
