"""Damages: the same for the same number, never none, and past the checksums."""

import io
import os
import zipfile
from collections.abc import Callable
from random import Random

import av
import pytest

from tests.fuzz.bundle_seeds import archive_seeds, graph_seeds, manifest_seeds
from tests.fuzz.checksums import mend_ogg, mend_png, mend_zip
from tests.fuzz.media_seeds import media_seeds
from tests.fuzz.mutations import DAMAGES, Damage, Seed, mutated
from tests.fuzz.targets import TARGETS

TEXT = Seed("text", bytes(range(256)) * 8, blocks=((0, 100), (300, 50), (900, 200)), words=(b"\x41\x42", b"\x61"))


def of_kind(kind: str) -> Seed:
    return next(seed for seed in media_seeds() if seed.kind == kind)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux alone has it")
def test_encoding_leaves_the_priority_of_this_process() -> None:
    media_seeds.__wrapped__()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER  # everything that tests start would inherit another


@pytest.mark.parametrize("damage", {*DAMAGES}, ids=lambda damage: damage.__name__)
def test_every_damage_changes_something(damage: Damage) -> None:
    results = set()
    for number in range(20):
        content = bytearray(TEXT.content)
        damage(content, TEXT, (TEXT, *media_seeds()[:2]), Random(number))
        results.add(bytes(content))
    assert len(results - {TEXT.content}) > 5


@pytest.mark.parametrize("damage", {*DAMAGES}, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("content", [b"", b"x"])
def test_no_damage_needs_much_to_damage(damage: Damage, content: bytes) -> None:
    for number in range(50):
        damage(bytearray(content), TEXT, (TEXT, Seed("empty", b"")), Random(number))


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_follows_from_its_number(name: str) -> None:
    target = TARGETS[name]
    for number in range(3):
        seed, content = target.damaged(number, 5)
        assert (content != seed.content and len(content) <= 2 * len(seed.content) + 4096) or seed.mend or seed.own
        assert target.damaged(number, 5) == (seed, content) != target.damaged(number, 6)


@pytest.mark.parametrize("seed", [graph_seeds()[0], manifest_seeds()[0]], ids=lambda seed: seed.kind)
def test_damage_of_its_own_keeps_the_form(seed: Seed) -> None:
    kept = 0
    for number in range(10):
        content = bytearray(seed.content)
        assert seed.own is not None
        seed.own(content, seed, (seed,), Random(number))
        again = bytearray(content)
        seed.own(again, seed, (seed,), Random(number + 100))
        kept += again != content  # what is not well-formed would be left alone
    assert kept > 5


@pytest.mark.parametrize(
    ("seed", "mend"), [(of_kind("ogg, Opus"), mend_ogg), (of_kind("png"), mend_png), (archive_seeds()[0], mend_zip)]
)
def test_right_checksums_stay_and_wrong_ones_are_mended(seed: Seed, mend: Callable[[bytes], bytes]) -> None:
    assert mend(seed.content) == seed.content
    start, size = max(seed.blocks, key=lambda block: block[1])
    at = start + size // 2
    damaged = seed.content[:at] + bytes([seed.content[at] ^ 255]) + seed.content[at + 1 :]
    mended = mend(damaged)
    assert mended != damaged and mend(mended) == mended and mended[at] == damaged[at]


def test_mended_archives_and_ogg_files_are_read() -> None:
    stored = archive_seeds()[0].content
    with zipfile.ZipFile(io.BytesIO(mend_zip(stored.replace(b"vavl", b"VAVL")))) as archive:
        assert archive.testzip() is None
    damaged = of_kind("ogg, Opus").content.replace(b"encoder=", b"ENCODER=")
    for content, packets in ((damaged, 0), (mend_ogg(damaged), 20)):
        try:
            with av.open(io.BytesIO(content)) as container:
                count = sum(packet.size > 0 for packet in container.demux())
        except av.error.FFmpegError:
            count = 0
        assert count >= packets and (packets > 0) == (count > 0)


def test_the_same_damage_may_be_repeated_until_it_is_one() -> None:
    once = Seed("once", b"\x00" * 8, own=lambda content, *_: None)
    assert mutated(once, (once,), Random(0)) != once.content


def test_only_a_run_of_its_own_seed_repeats() -> None:
    assert mutated(TEXT, (TEXT,), Random("1")) != mutated(TEXT, (TEXT,), Random("2"))
