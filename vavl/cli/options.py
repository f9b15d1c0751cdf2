"""Options that several commands share, as settings objects (see `vavl.cli.settings`)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ConfigDict, field_validator

from vavl.config import StrictModel
from vavl.errors import ConfigError
from vavl.training.settings import NonNegative

if TYPE_CHECKING:
    from vavl.corpora import Corpus
    from vavl.training.experiment import CorpusChoice, PartitionChoice

ACCELERATORS = ("auto", "cpu", "cuda")


class Options(StrictModel):
    """A group of options; the text below each field is its help."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class CorpusOptions(Options):
    """The corpus that a command reads."""

    kind: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS",
            help="crema-d, msp-improv, ravdess, javanese, emodb, savee, tess, mead or manifest (docs/corpora.md).",
        ),
    ]
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the corpus; for manifest, its folder or CSV file.")
    ]
    skip_bad: bool = False
    """Leave out bad clips and report them, instead of stopping."""

    def choice(self) -> "CorpusChoice":
        """The corpus as an experiment describes it."""
        from vavl.training.experiment import CorpusChoice

        return CorpusChoice(kind=self.kind, folder=str(self.folder), skip_bad=self.skip_bad)

    def open(self) -> "Corpus":
        """Open and check the corpus; prints what was left out and what is unusual about it.

        Raises:
            CorpusError: The corpus has problems and `skip_bad` is off.
        """
        from vavl.cli.reporting import report_corpus
        from vavl.corpora import open_corpus

        corpus = open_corpus(self.kind, self.folder, skip_bad=self.skip_bad)
        report_corpus(corpus)
        return corpus


class PartitionSeedOptions(Options):
    """The partitions of a corpus that ships none."""

    partition_seed: int = 0
    """Seed of the speaker-independent partitions, for a corpus that ships none."""


class PartitionOptions(PartitionSeedOptions):
    """The partition that a command trains on."""

    partition: Annotated[
        str, typer.Option("--partition", metavar="N|all", help="Number of the partition; 'all' trains on every clip.")
    ] = "1"

    @field_validator("partition")
    @classmethod
    def _number_or_all(cls, text: str) -> str:
        if text != "all" and (not text.isdigit() or int(text) < 1):
            raise ValueError(f"got {text!r}, expected 1, 2, … or 'all'")
        return text

    def choice(self) -> "PartitionChoice":
        """The partition as an experiment describes it."""
        from vavl.training.experiment import PartitionChoice

        number: int | Literal["all"] = "all" if self.partition == "all" else int(self.partition)
        return PartitionChoice(number=number, seed=self.partition_seed)


class ModelOptions(Options):
    """The features, the model that is trained on them, and the size of what it is compared with."""

    features: Path
    """Feature cache, made by vavl-train features."""
    preset: str = "paper"
    """Model: 'paper' or 'light'."""
    model: Path | None = None
    """JSON file of model settings that replace those of the preset."""
    alpha: NonNegative | None = None
    """Weight of the reconstruction loss; by default 2 for classes and 1 for attributes."""
    uavm_width: int = 1024
    """Width of UAVM; 1024 in its paper."""

    def changes(self) -> dict[str, Any]:
        """Read the model settings from the JSON file; empty without a file.

        Raises:
            ConfigError: The file cannot be read or does not hold a JSON object.
        """
        if self.model is None:
            return {}
        import json

        try:
            changes = json.loads(self.model.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"--model {self.model}: not a readable JSON file ({error})") from error
        if not isinstance(changes, dict):
            kind = type(changes).__name__
            raise ConfigError(f"--model {self.model}: got a JSON {kind}, expected an object of settings")
        return changes


class ComputeOptions(Options):
    """Where systems are trained."""

    accelerator: str = "auto"
    """auto, cpu or cuda; under torchrun each process takes one device."""

    @field_validator("accelerator")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ACCELERATORS:
            raise ValueError(f"got {name!r}, expected {', '.join(ACCELERATORS)}")
        return name
