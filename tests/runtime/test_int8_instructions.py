"""The instructions that int8 depends on, as kernels tell them; and manifests from before they were noted."""

from pathlib import Path

import pytest

from vavl_export.precision.latency import speed_record
from vavl_runtime.bundle.manifest import SpeedRecord
from vavl_runtime.devices.cpu import int8_instructions

X86 = """\
processor\t: 0
model name\t: A processor
flags\t\t: fpu sse2 avx avx2 f16c avx512f avx512bw avx512_vnni
bugs\t\t: spectre_v1

processor\t: 1
flags\t\t: fpu sse2 avx avx2 avx512f avx512bw avx512_vnni
vmx flags\t: amx_int8
"""
ARM = """\
processor\t: 0
Features\t: fp asimd asimddp i8mm
CPU part\t: 0xd46

processor\t: 1
Features\t: fp asimd asimddp
"""


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (X86, ("avx2", "avx512f", "avx512bw", "avx512_vnni")),
        (X86.replace(" avx512_vnni", ""), ("avx2", "avx512f", "avx512bw")),
        (ARM, ("asimddp",)),  # graphs run on all cores, so what the little ones lack does not count
        ("flags\t: fpu sse2\n", ()),
        ("processor\t: 0\n", None),
        (None, None),
    ],
)
def test_instructions_that_all_cores_have(
    cpuinfo: str | None, expected: tuple[str, ...] | None, tmp_path: Path
) -> None:
    if cpuinfo is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo)
    assert int8_instructions(tmp_path) == expected


def test_a_record_names_them_and_old_ones_are_read() -> None:
    record = speed_record(1.5, None)
    assert record.instructions == int8_instructions()
    assert SpeedRecord.model_validate_json(record.model_dump_json()) == record
    old = SpeedRecord.model_validate_json('{"target": "a test", "machine": "x86_64", "speedup": 2.0, "reason": null}')
    assert old.instructions is None
