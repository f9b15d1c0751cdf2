"""Damages files as transfers, broken writers and attackers do: every damage follows from a seeded generator."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Seed:
    """A good file to damage.

    Attributes:
        kind: What it is, for the table of results: a container, or a file of a bundle.
        content: Its bytes.
        blocks: Start and length of its parts (packets, rows, entries), which are swapped, repeated and left out.
        words: Byte strings that its format gives a meaning.
        own: A damage that only this format has; every other input has damage of this kind alone. Or None.
        mend: Writes right checksums into a damaged file, so that readers look further; None if they check none.
    """

    kind: str
    content: bytes
    blocks: tuple[tuple[int, int], ...] = ()
    words: tuple[bytes, ...] = ()
    own: "Damage | None" = None
    mend: Callable[[bytes], bytes] | None = None


Damage = Callable[[bytearray, Seed, Sequence[Seed], Random], None]

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_MOST_COPIES = 64
_MENDED, _OWN = 0.75, 0.5
_HEAD = 512  # headers are small beside the content, and damage there goes furthest


def mutated(seed: Seed, all_seeds: Sequence[Seed], random: Random) -> bytes:
    """Damage a seed in one to six ways.

    Args:
        seed: What to damage.
        all_seeds: Where spliced-in pieces come from.
        random: Decides everything.

    Returns:
        The damaged file, which differs from the seed and is at most twice as long and a little more.
    """
    damaged = seed.content
    while damaged == seed.content:
        content = bytearray(seed.content)
        damages = (seed.own,) if seed.own is not None and random.random() < _OWN else DAMAGES
        for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
            random.choice(damages)(content, seed, all_seeds, random)
            del content[2 * len(seed.content) + 4096 :]
        damaged = bytes(content)
        if seed.mend is not None and random.random() < _MENDED:
            damaged = seed.mend(damaged)
    return damaged


def _place(content: bytearray, random: Random) -> int:
    """A place in the file; every other time one near its start."""
    end = min(len(content), _HEAD) if random.random() < 0.5 else len(content)
    return random.randrange(end) if end else 0


def _flip_bits(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    for _ in range(random.choice((1, 2, 8, 32)) if content else 0):
        content[_place(content, random)] ^= 1 << random.randrange(8)


def _set_bytes(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    for _ in range(random.choice((1, 2, 8)) if content else 0):
        content[_place(content, random)] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _truncate(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    del content[_place(content, random) :]


def _write_number(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Put an extreme value, or one near the right one, where a length or a count may be."""
    size = random.choice((1, 2, 4, 4, 8))
    at = _place(content, random)
    if at + size > len(content):
        return
    order = random.choice("<>")
    code = order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
    (old,) = struct.unpack_from(code, content, at)
    new = random.choice((*_NUMBERS, old + 1, old - 1, old * 2, len(content)))
    struct.pack_into(code, content, at, new % (1 << 8 * size))


def _remove(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    start = _place(content, random)
    del content[start : start + random.choice((1, 2, 4, 16, 188, 1024))]


def _repeat(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    start = _place(content, random)
    part = content[start : start + random.choice((1, 4, 16, 188, 1024))]
    content[start:start] = part * random.choice((1, 2, _MOST_COPIES))


def _insert_word(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    word = random.choice(seed.words or (b"\x00\x00\x01", b"\xff" * 8, bytes(16)))
    start = _place(content, random)
    content[start : start + (len(word) if random.random() < 0.5 else 0)] = word


def _swap_words(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Turn one meaning into another: a box into another box, a key into another key."""
    there = [word for word in seed.words if word in content]
    if not there:
        return
    word = random.choice(there)
    start = content.find(word, _place(content, random))
    if start >= 0:
        content[start : start + len(word)] = random.choice(seed.words)


def _splice(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Put a piece of another file in place of a piece of this one."""
    other = random.choice(all_seeds).content
    start, length = _place(content, random), random.choice((4, 64, 512, len(other)))
    at = random.randrange(len(other)) if other else 0
    content[start : start + length] = other[at : at + length]


def _swap_blocks(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Exchange two parts, or write one over another, or leave one out, or repeat one."""
    if len(seed.blocks) < 2:
        return
    (a, a_size), (b, b_size) = sorted(random.sample(seed.blocks, 2))
    first, second = content[a : a + a_size], content[b : b + b_size]
    match random.randrange(4):
        case 0:
            content[b : b + b_size] = first
            content[a : a + a_size] = second
        case 1:
            content[b : b + b_size] = first
        case 2:
            del content[a : a + a_size]
        case 3:
            content[a:a] = first


def _damage_block(content: bytearray, seed: Seed, all_seeds: Sequence[Seed], random: Random) -> None:
    """Damage the first bytes of a part, which the decoder's parser reads."""
    if not seed.blocks:
        return
    start, size = random.choice(seed.blocks)
    for _ in range(random.choice((1, 4, 16))):
        at = start + random.randrange(max(1, min(size, 32)))
        if at < len(content):
            content[at] = random.choice((0, 0xFF, content[at] ^ 1 << random.randrange(8), random.randrange(256)))


DAMAGES: tuple[Damage, ...] = (
    _flip_bits,
    _set_bytes,
    _truncate,
    _write_number,
    _write_number,
    _remove,
    _repeat,
    _insert_word,
    _swap_words,
    _splice,
    _swap_blocks,
    _damage_block,
)
