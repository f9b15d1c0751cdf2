"""A short turn of every fuzzing target in this process; ``make fuzz`` is the long one."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.media_seeds import media_seeds
from tests.fuzz.target import Check
from tests.fuzz.targets import TARGETS
from vavl_runtime.errors import VavlError
from vavl_runtime.media.containers import FORMATS

EXAMPLES = {"media": 150, "graph": 6, "weights": 4, "released": 4}
pytestmark = pytest.mark.filterwarnings("default")  # damaged numbers overflow; what counts is what comes of it


@pytest.fixture(scope="session")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Check]:
    """Opens each target once."""
    opened: dict[str, Check] = {}

    def check_of(name: str) -> Check:
        if name not in opened:
            opened[name] = TARGETS[name].opened(tmp_path_factory.mktemp(name))
        return opened[name]

    return check_of


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_accepted_or_refused_in_words(name: str, checks: Callable[[str], Check]) -> None:
    check, target = checks(name), TARGETS[name]

    # The same examples at each run: new ones are the matter of the long turn, whose processes may crash.
    @settings(max_examples=EXAMPLES.get(name, 20), derandomize=True, database=None)
    @given(number=st.integers(0, 1 << 32))
    def every(number: int) -> None:
        try:
            check(*target.damaged(number, 0))
        except VavlError as error:
            assert str(error)

    every()


@pytest.mark.parametrize("name", TARGETS)
def test_good_files_are_accepted(name: str, checks: Callable[[str], Check]) -> None:
    """Otherwise the damaged ones would show nothing."""
    kinds = {seed.kind: seed for seed in TARGETS[name].seeds()}
    for seed in list(kinds.values())[:: 1 if name != "released" else 4]:
        checks(name)(seed, seed.content)


def test_more_than_ten_containers_are_damaged(tmp_path: Path) -> None:
    found = set()
    for seed in media_seeds():
        (tmp_path / "media").write_bytes(seed.content)
        with av.open(tmp_path / "media") as container:
            found.add(container.format.name.partition(",")[0])
    assert len(found) > 25 and found <= {*FORMATS}
