"""The systems that VAVL is compared with (paper §4.5), each trained and tested as VAVL is."""

from collections.abc import Mapping
from types import MappingProxyType

from vavl.systems.auxformer import AuxFormer
from vavl.systems.baseline import Baseline
from vavl.systems.mult import MulT
from vavl.systems.uavm import UAVM
from vavl.systems.unimodal import Unimodal

BASELINES: Mapping[str, type[Baseline]] = MappingProxyType(
    {"uavm": UAVM, "auxformer": AuxFormer, "mult": MulT, "unimodal": Unimodal}
)
"""Every baseline by its name on the command line; each takes a `Shape` and its own keywords."""

__all__ = ["BASELINES", "UAVM", "AuxFormer", "Baseline", "MulT", "Unimodal"]
