"""The runtime stands alone: no PyTorch, and nothing heavy before it is needed."""

import resource
import subprocess
import sys
from pathlib import Path

import vavl_runtime

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "transformers", "timm", "vavl", "vavl_export", "onnx"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
"""


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_predicts_with_torch_blocked(example_clip: Path) -> None:
    code = f"from vavl_runtime import Recognizer\nprint(Recognizer().predict({str(example_clip)!r}).path)"
    assert _python(BLOCK + code) == "audio_visual"


def test_the_block_blocks() -> None:
    code = BLOCK + "import torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "torch is blocked" in done.stderr


def test_importing_pulls_in_no_engine() -> None:
    code = "import vavl_runtime, sys; print([m for m in ('onnxruntime', 'av', 'numpy', 'torch') if m in sys.modules])"
    assert _python(code) == "[]"


def test_every_public_name_can_be_imported() -> None:
    assert _python("import vavl_runtime as v; print(all(getattr(v, name) is not None for name in v.__all__))") == "True"
    assert sorted(vavl_runtime._HOMES) == list(vavl_runtime._HOMES)


def test_help_is_quick() -> None:
    command = [sys.executable, "-m", "vavl_runtime.cli.run", "--help"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "--audio-only" in done.stdout
    assert "Example: vavl-run" in done.stdout
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5


def test_a_prediction_on_the_cpu_loads_neither_tensorrt_code_nor_the_harness(example_clip: Path) -> None:
    code = (
        f"from vavl_runtime import Recognizer\nimport sys\nRecognizer().predict({str(example_clip)!r})\n"
        "print([m for m in sys.modules if m.startswith(('vavl_runtime.backends.trt', 'vavl_runtime.devices.cuda', "
        "'vavl_runtime.doctor', 'vavl_bench', 'vavl_export', 'vavl.'))])"
    )
    assert _python(code) == "[]"
