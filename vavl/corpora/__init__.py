"""Labelled corpora: reading, checking, and speaker-independent partitions."""

from vavl.corpora.checks import check_corpus
from vavl.corpora.corpus import Clip, Corpus, Partition, Split
from vavl.corpora.opening import open_corpus
from vavl.corpora.partitions import make_partitions

__all__ = ["Clip", "Corpus", "Partition", "Split", "check_corpus", "make_partitions", "open_corpus"]
