"""VAVL and the baselines that it is compared with (paper §4.5), behind one interface for training and testing.

system.py       the interface: `System`
vavl.py         VAVL's own training (Algorithm 1)
baseline.py     what the baselines share; uavm.py, auxformer.py, mult.py and unimodal.py are the baselines
build.py        builds any of them by name
batch.py        the mini-batch that all of them take; losses.py their losses
"""

from vavl.systems.auxformer import AuxFormer
from vavl.systems.baseline import Baseline
from vavl.systems.batch import Batch, Sequences
from vavl.systems.build import BASELINES, build_system, check_system
from vavl.systems.mult import MulT
from vavl.systems.system import BatchPredictions, Shape, System
from vavl.systems.uavm import UAVM
from vavl.systems.unimodal import Unimodal
from vavl.systems.vavl import VavlSystem

__all__ = [
    "BASELINES",
    "UAVM",
    "AuxFormer",
    "Baseline",
    "Batch",
    "BatchPredictions",
    "MulT",
    "Sequences",
    "Shape",
    "System",
    "Unimodal",
    "VavlSystem",
    "build_system",
    "check_system",
]
