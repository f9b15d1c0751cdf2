"""Speaker-independent partitions for corpora that ship none."""

import random
from collections import Counter

from vavl.corpora.corpus import Corpus, Partition, Split
from vavl.errors import ConfigError

MINIMUM_SPEAKERS = 3


def make_partitions(
    corpus: Corpus, count: int = 5, seed: int = 0, shares: tuple[float, float, float] = (0.70, 0.15, 0.15)
) -> tuple[Partition, ...]:
    """Divide the speakers several times (§4.1: five partitions of 70, 15 and 15 %).

    The speakers tested least often so far are tested next, so any two speakers are tested equally often or once more or
    less. The result depends only on the clips' ids and speakers and on the arguments, not on the order of the clips or
    the platform.

    Args:
        corpus: A corpus with at least three speakers.
        count: Number of partitions.
        seed: Seed of the division.
        shares: Shares of the speakers for training, development and test; each split gets at least one speaker.

    Returns:
        The partitions, ``seed 0 partition 1`` and so on.

    Raises:
        ConfigError: There are too few speakers, or an argument is out of range.

    Example:
        >>> from vavl.corpora import Clip
        >>> clips = tuple(Clip(name, name, (1.0, 0.0), None, None, name) for name in ("ann", "ben", "cam", "dan"))
        >>> corpus = Corpus("made", "classification", ("calm", "tense"), clips)
        >>> [partition.name for partition in make_partitions(corpus, count=2)]
        ['seed 0 partition 1', 'seed 0 partition 2']
    """
    speakers = _speakers(corpus)
    if count < 1:
        raise ConfigError(f"partitions: count {count}, expected at least 1")
    if len(shares) != 3 or not min(shares) > 0 or not abs(sum(shares) - 1.0) < 1e-6:  # NaN fails too
        raise ConfigError(f"partitions: shares {shares}, expected three positive numbers that sum to 1")
    tests = _between(1, round(shares[2] * len(speakers)), len(speakers) - 2)
    developments = _between(1, round(shares[1] * len(speakers)), len(speakers) - tests - 1)
    # `random()` and not `shuffle`: Python guarantees that its sequence stays the same.
    chance = random.Random(seed)
    tested: Counter[str] = Counter()
    developed: Counter[str] = Counter()
    partitions = []
    for number in range(1, count + 1):
        test = _least_used(speakers, tested, chance)[:tests]
        development = _least_used([name for name in speakers if name not in test], developed, chance)[:developments]
        tested.update(test)
        developed.update(development)
        partitions.append(_partition(corpus, f"seed {seed} partition {number}", development, test))
    return tuple(partitions)


def leave_one_speaker_out(corpus: Corpus) -> tuple[Partition, ...]:
    """Make one partition per speaker: the speaker is the test set, and the next one by name the development set.

    Args:
        corpus: A corpus with at least three speakers.

    Returns:
        The partitions, in order of the tested speakers.

    Raises:
        ConfigError: There are too few speakers.
    """
    speakers = _speakers(corpus)
    following = (*speakers[1:], speakers[0])
    return tuple(
        _partition(corpus, f"speaker {test}", [development], [test])
        for test, development in zip(speakers, following, strict=True)
    )


def _speakers(corpus: Corpus) -> tuple[str, ...]:
    speakers = corpus.speakers
    if len(speakers) < MINIMUM_SPEAKERS:
        raise ConfigError(
            f"partitions: {corpus.name} has {len(speakers)} speakers ({', '.join(speakers)}), expected at least "
            f"{MINIMUM_SPEAKERS}: one to train on, one to choose the model by and one to test on"
        )
    return speakers


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))


def _least_used(speakers: list[str] | tuple[str, ...], used: Counter[str], chance: random.Random) -> list[str]:
    """Speakers, least used first; equally used speakers in random order."""
    return sorted(speakers, key=lambda speaker: (used[speaker], chance.random()))


def _partition(corpus: Corpus, name: str, development: list[str], test: list[str]) -> Partition:
    split_of_speaker: dict[str, Split] = {
        **dict.fromkeys(corpus.speakers, "train"),
        **dict.fromkeys(development, "development"),
        **dict.fromkeys(test, "test"),
    }
    clips = sorted(corpus.clips, key=lambda clip: clip.id)
    return Partition(name, {clip.id: split_of_speaker[clip.speaker] for clip in clips})
