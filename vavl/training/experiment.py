"""A complete description of one training run; importable without PyTorch."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from vavl.config import PRESETS as PRESETS
from vavl.config import Positive, StrictModel, VavlConfig
from vavl.errors import ConfigError, list_invalid
from vavl.training.settings import FitSettings, NonNegative

SETTINGS = "settings.json"


class CorpusChoice(StrictModel):
    """A corpus to train and test on.

    Attributes:
        kind: Its format, such as ``crema-d`` or ``manifest`` (see ``docs/corpora.md``).
        folder: Where it lies.
        skip_bad: Leave bad clips out instead of refusing the corpus.
    """

    kind: str
    folder: str
    skip_bad: bool = False


class PartitionChoice(StrictModel):
    """A partition of the corpus.

    Attributes:
        number: 1, 2, …; or ``all`` to train on every clip. With ``all`` there is no development set and no test set.
        seed: Seed of the partitions that are made for a corpus that ships none.
        count: How many partitions are made for such a corpus.
    """

    number: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    seed: int = 0
    count: Positive = 5


class Experiment(StrictModel):
    """Everything that a training run depends on.

    Attributes:
        corpus: The corpus.
        partition: The partition of the corpus.
        features: Folder of the feature cache.
        model: VAVL's configuration. A baseline takes only its task and feature widths.
        system: ``vavl`` or the name of a baseline.
        sizes: Constructor keywords of baselines whose size differs from their paper, by name of the baseline.
        paired_only: Train only on clips that have both modalities, to measure what the other clips contribute.
        alpha: Weight of VAVL's reconstruction loss; None takes the task's default (D24).
        fit: How to train.

    Example:
        >>> from vavl.config import light_config
        >>> experiment = create_experiment(
        ...     corpus={"kind": "javanese", "folder": "corpora/javanese"},
        ...     features="features",
        ...     model=light_config().model_dump(),
        ...     fit={"epochs": 8},
        ... )
        >>> experiment.partition.number, experiment.fit.epochs
        (1, 8)
    """

    corpus: CorpusChoice
    partition: PartitionChoice = PartitionChoice()
    features: str
    model: VavlConfig
    system: str = "vavl"
    sizes: dict[str, dict[str, Positive]] = Field(default_factory=dict)
    paired_only: bool = False
    alpha: NonNegative | None = None
    fit: FitSettings = FitSettings()

    @classmethod
    def read(cls, run: Path) -> "Experiment":
        """Read the experiment that a run folder belongs to.

        Args:
            run: The run folder.

        Raises:
            ConfigError: The folder is not a run folder.
        """
        try:
            return cls.model_validate_json((run / SETTINGS).read_text("utf-8"))
        except (OSError, ValidationError) as error:
            raise ConfigError(f"{run}: not a run folder of vavl-train fit ({error})") from error


def create_experiment(**values: object) -> Experiment:
    """Build an experiment from keyword arguments or parsed JSON.

    Raises:
        ConfigError: One or more values are wrong; the message lists all of them.
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"experiment: {list_invalid(error)}") from error
