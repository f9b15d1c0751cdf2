"""The prepacking benchmark on the packaged bundle."""

from pathlib import Path

import pytest

from benchmarks.studies.prepacking import SETTINGS, inputs, measure
from vavl_runtime.backends.base import check_inputs
from vavl_runtime.bundle import open_bundle


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_graph_of_the_path_is_measured(setting: str, light_bundle: Path) -> None:
    result = measure(light_bundle, setting)
    assert result["run_ms"].keys() == {"audio", "visual", "audio_visual", "audio_encoder", "face_encoder"}
    assert all(value > 0 for value in (result["load_s"], result["private_dirty_mb"], *result["run_ms"].values()))


def test_inputs_fit_the_graphs(light_bundle: Path) -> None:
    with open_bundle(light_bundle) as bundle:
        for name in ("audio_encoder", "face_encoder", "audio_visual"):
            record = bundle.manifest.graphs[name]
            check_inputs(name, record, inputs(record))
