"""VAVL (versatile audio-visual learning) in PyTorch: models, features, training and evaluation.

All public names are listed here and imported on first use, so ``import vavl`` loads neither PyTorch nor NumPy.

Example:
    >>> import vavl
    >>> model = vavl.Vavl(vavl.light_config())
    >>> model.config.labels
    ('angry', 'sad', 'disgust', 'fear', 'neutral', 'happy')

From a corpus to a report::

    corpus = vavl.open_corpus("javanese", "corpora/javanese")
    vavl.extract(corpus.clips, Path("features"), vavl.EncoderChoice("prosody", "landmarks"))
    experiment = vavl.create_experiment(
        corpus={"kind": "javanese", "folder": "corpora/javanese"},
        features="features",
        model=vavl.light_config(labels=corpus.labels, audio_dim=28, visual_dim=19).model_dump(),
    )
    vavl.run_experiment(experiment, Path("run1"))
    report = vavl.evaluate_runs([Path("run1")], command="my script")
    checkpoint = vavl.load_checkpoint(Path("run1/checkpoint"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vavl_runtime._version import __version__

if TYPE_CHECKING:
    from vavl.checkpoint import Checkpoint, CheckpointDescription, load_checkpoint, save_checkpoint
    from vavl.config import VavlConfig, WaveformNormalization, light_config, paper_config
    from vavl.corpora import Clip, Corpus, Partition, check_corpus, make_partitions, open_corpus
    from vavl.encoders import (
        AudioEncoder,
        FaceEncoder,
        LoadedEncoder,
        load_audio_encoder,
        load_face_encoder,
        save_encoder,
    )
    from vavl.errors import ConfigError, CorpusError, EncoderUnavailableError
    from vavl.evaluation.report import EvaluationReport
    from vavl.features.cache import ClipFeatures, FeatureCache, WindowFeatures
    from vavl.features.extract import EncoderChoice, Extraction, extract
    from vavl.features.identity import CacheIdentity
    from vavl.model import UnimodalOutput, Vavl
    from vavl.released import import_released
    from vavl.systems import System
    from vavl.training.evaluate import evaluate_runs
    from vavl.training.experiment import CorpusChoice, Experiment, PartitionChoice, create_experiment
    from vavl.training.run import load_trained, run_experiment
    from vavl.training.settings import FitSettings
    from vavl_runtime.errors import InputError, VavlError

__all__ = [
    "AudioEncoder",
    "CacheIdentity",
    "Checkpoint",
    "CheckpointDescription",
    "Clip",
    "ClipFeatures",
    "ConfigError",
    "Corpus",
    "CorpusChoice",
    "CorpusError",
    "EncoderChoice",
    "EncoderUnavailableError",
    "EvaluationReport",
    "Experiment",
    "Extraction",
    "FaceEncoder",
    "FeatureCache",
    "FitSettings",
    "InputError",
    "LoadedEncoder",
    "Partition",
    "PartitionChoice",
    "System",
    "UnimodalOutput",
    "Vavl",
    "VavlConfig",
    "VavlError",
    "WaveformNormalization",
    "WindowFeatures",
    "__version__",
    "check_corpus",
    "create_experiment",
    "evaluate_runs",
    "extract",
    "import_released",
    "light_config",
    "load_audio_encoder",
    "load_checkpoint",
    "load_face_encoder",
    "load_trained",
    "make_partitions",
    "open_corpus",
    "paper_config",
    "run_experiment",
    "save_checkpoint",
    "save_encoder",
]

_MODULES = {
    "vavl.checkpoint": ("Checkpoint", "CheckpointDescription", "load_checkpoint", "save_checkpoint"),
    "vavl.config": ("VavlConfig", "WaveformNormalization", "light_config", "paper_config"),
    "vavl.corpora": ("Clip", "Corpus", "Partition", "check_corpus", "make_partitions", "open_corpus"),
    "vavl.encoders": (
        "AudioEncoder",
        "FaceEncoder",
        "LoadedEncoder",
        "load_audio_encoder",
        "load_face_encoder",
        "save_encoder",
    ),
    "vavl.errors": ("ConfigError", "CorpusError", "EncoderUnavailableError"),
    "vavl.evaluation.report": ("EvaluationReport",),
    "vavl.features.cache": ("ClipFeatures", "FeatureCache", "WindowFeatures"),
    "vavl.features.extract": ("EncoderChoice", "Extraction", "extract"),
    "vavl.features.identity": ("CacheIdentity",),
    "vavl.model": ("UnimodalOutput", "Vavl"),
    "vavl.released": ("import_released",),
    "vavl.systems": ("System",),
    "vavl.training.evaluate": ("evaluate_runs",),
    "vavl.training.experiment": ("CorpusChoice", "Experiment", "PartitionChoice", "create_experiment"),
    "vavl.training.run": ("load_trained", "run_experiment"),
    "vavl.training.settings": ("FitSettings",),
    "vavl_runtime.errors": ("InputError", "VavlError"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
