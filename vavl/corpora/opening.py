"""Opens a corpus by its format and folder, checks it, and reports all problems at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vavl.corpora.checks import Problem, check_corpus, check_partitions
from vavl.corpora.corpus import Corpus, Partition
from vavl.corpora.crema_d import read_crema_d
from vavl.corpora.emodb import read_emodb
from vavl.corpora.javanese import read_javanese
from vavl.corpora.manifest import read_manifest
from vavl.corpora.mead import read_mead
from vavl.corpora.msp_improv import read_msp_improv
from vavl.corpora.ravdess import read_ravdess
from vavl.corpora.savee import read_savee
from vavl.corpora.tess import read_tess
from vavl.errors import ConfigError, CorpusError
from vavl_runtime.errors import NotAFileError, NotFoundError

Reader = Callable[[Path], tuple[Corpus, list[Problem]]]
READERS: dict[str, Reader] = {
    "crema-d": read_crema_d,
    "msp-improv": read_msp_improv,
    "ravdess": read_ravdess,
    "javanese": read_javanese,
    "emodb": read_emodb,
    "savee": read_savee,
    "tess": read_tess,
    "mead": read_mead,
    "manifest": read_manifest,
}


def open_corpus(name: str, folder: str | Path, *, skip_bad: bool = False) -> Corpus:
    """Read a corpus and check all of it.

    Args:
        name: One of `READERS`.
        folder: Folder of the corpus, laid out as in ``docs/corpora.md``; for ``manifest``, its folder or CSV file.
        skip_bad: Leave out bad clips instead of refusing the corpus.

    Returns:
        The corpus. `Corpus.left_out` lists what was left out, `Corpus.notes` what is unusual.

    Raises:
        ConfigError: The format is unknown.
        NotFoundError: The folder does not exist.
        NotAFileError: A file was given where a folder is needed.
        CorpusError: The corpus has problems, and leaving clips out is not allowed, does not resolve them or leaves no
            clip. The message lists every problem.
    """
    if name not in READERS:
        raise ConfigError(f"corpus {name!r}: expected one of {', '.join(READERS)}")
    folder = Path(folder)
    if not folder.exists():
        raise NotFoundError(f"{folder}: no such folder; expected the corpus {name}")
    if not folder.is_dir() and not (name == "manifest" and folder.is_file()):
        raise NotAFileError(f"{folder}: not a folder; expected the one that holds the corpus {name}")
    corpus, problems = READERS[name](folder)
    problems = [*problems, *check_corpus(corpus)]
    wrong = [problem for problem in problems if not problem.is_note]
    if any(problem.kind == "layout" for problem in wrong):
        raise _error(name, folder, wrong, "mend at least the layout, which leaving clips out cannot resolve")
    if wrong and not skip_bad:
        raise _error(name, folder, wrong, "mend them, or leave the bad clips out", argument="skip_bad")
    corpus = leave_out(corpus, wrong)
    if not corpus.clips:
        raise _error(name, folder, wrong, "all clips are bad, so none would be left; mend them")
    notes = check_partitions(corpus, corpus.partitions)
    return replace(corpus, notes=tuple(map(str, notes)))


def leave_out(corpus: Corpus, problems: Sequence[Problem]) -> Corpus:
    """Remove bad clips from a corpus and its partitions, then partitions that have an empty split.

    Args:
        corpus: The corpus.
        problems: Problems of the corpus.

    Returns:
        The corpus without the clips of these problems, which are listed in `Corpus.left_out`.
    """
    bad = {problem.clip for problem in problems}
    clips = tuple(clip for clip in corpus.clips if clip.id not in bad)
    ids = {clip.id for clip in clips}
    smaller = replace(corpus, clips=clips, partitions=tuple(_only(part, ids) for part in corpus.partitions))
    empty = [found for found in check_partitions(smaller, smaller.partitions) if found.kind == "empty_split"]
    partitions = tuple(part for part in smaller.partitions if part.name not in {found.source for found in empty})
    reported = [*(problem for problem in problems if problem.kind != "empty_split"), *empty]
    return replace(smaller, partitions=partitions, left_out=(*corpus.left_out, *map(str, reported)))


def _only(partition: Partition, ids: set[str]) -> Partition:
    return Partition(partition.name, {id_: split for id_, split in partition.split_of.items() if id_ in ids})


def _error(
    name: str, folder: Path, problems: Sequence[Problem], remedy: str, argument: str | None = None
) -> CorpusError:
    listed = "\n".join(f"  {problem}" for problem in problems)
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    return CorpusError(f"{folder}: {count} in this corpus ({name}); {remedy}\n{listed}", argument=argument)
