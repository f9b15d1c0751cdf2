"""From the options of ``fit`` and ``compare`` to an experiment."""

from typing import TYPE_CHECKING

from vavl.cli.options import CorpusOptions, ModelOptions
from vavl.cli.reporting import report_corpus, warn_of_random_encoders

if TYPE_CHECKING:
    from vavl.training.experiment import Experiment


def create(corpus: CorpusOptions, model: ModelOptions, **values: object) -> "Experiment":
    """Create an experiment whose model fits its corpus and its features; prints what is unusual about the corpus.

    Args:
        corpus: The corpus.
        model: The features and the model.
        **values: Other fields of the experiment.

    Raises:
        VavlError: The corpus, the cache, the model file or a value is wrong.
    """
    from vavl.training.experiment import create_experiment
    from vavl.training.material import model_for, open_corpus_and_cache

    choice = corpus.choice()
    opened, cache = open_corpus_and_cache(choice, model.features)
    report_corpus(opened)
    warn_of_random_encoders(cache.identity.references)
    return create_experiment(
        corpus=choice,
        features=str(model.features),
        model=model_for(model.preset, opened, cache, **model.changes()).model_dump(),
        sizes={"uavm": {"width": model.uavm_width}},
        alpha=model.alpha,
        **values,
    )
