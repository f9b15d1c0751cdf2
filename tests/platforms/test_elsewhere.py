"""The project's code without what macOS or Windows lack: `restrictions/sitecustomize.py` takes it away."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE

ROOT = Path(__file__).parents[2]
RESTRICTIONS = Path(__file__).parent / "restrictions"


def restricted(*arguments: object, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run Python with the restrictions, in this process's environment otherwise."""
    path = [str(RESTRICTIONS), *(entry for entry in sys.path if entry)]
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd or ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONWARNDEFAULTENCODING": "1"},
    )


def successful(*arguments: object, cwd: Path | None = None) -> str:
    done = restricted(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


OPTIONS = ("--scope", "graph", "--path", "audio", "--device", "cpu")  # of vavl-bench run
REFUSED = {
    "module": "import fcntl",
    "name": "import os; os.sched_getaffinity(0)",
    "signal": "import signal; signal.SIGKILL",
    "proc": "import pathlib; pathlib.Path('/proc/meminfo').read_bytes()",
    "sys": "import pathlib; list(pathlib.Path('/sys').iterdir())",
    "fsync": "import os; handle = open('a', 'rb'); os.fsync(handle.fileno())",
    "rename": "import os; os.rename('a', 'b')",
    "replace": "import os; handle = open('b', 'rb'); os.replace('a', 'b')",
    "unlink": "import os; handle = open('a', 'rb'); os.unlink('a')",
    "mapped": "import os, numpy; array = numpy.memmap('a', mode='r'); os.unlink('a')",
    "tree": "import shutil; handle = open('folder/file', 'rb'); shutil.rmtree('folder')",
    "name of a file": "open('a:b', 'wb')",
    "encoding": "open('a').read()",
}


ASK = f"""
import pathlib
pathlib.Path("folder").mkdir()
for name, code in {REFUSED!r}.items():
    for file in ("a", "b", "folder/file"):
        pathlib.Path(file).write_text("text", "utf-8")
    try:
        exec(code, {{"__name__": "vavl_runtime.asked"}})
    except (AttributeError, EncodingWarning, ImportError, OSError):
        print("refused:", name)
"""


def test_the_restrictions_restrict(tmp_path: Path) -> None:
    """Each statement, as code of ours, works without them and fails with them."""
    free, limited = tmp_path / "free", tmp_path / "limited"
    free.mkdir()
    limited.mkdir()
    assert subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, cwd=free).stdout == ""
    assert successful("-c", ASK, cwd=limited).splitlines() == [f"refused: {name}" for name in REFUSED]


def test_a_prediction_is_the_same(recognizer: Recognizer, example_clip: Path, tmp_path: Path) -> None:
    """From a folder and from an archive, whose files are unpacked, mapped and removed; results replace old results."""
    archive = tmp_path / "light.vavl"
    with zipfile.ZipFile(archive, "w") as content:
        for file in sorted(path for path in PACKAGED_BUNDLE.rglob("*") if path.is_file()):
            content.write(file, file.relative_to(PACKAGED_BUNDLE).as_posix())
    output = tmp_path / "result.json"
    output.write_text("[]", "utf-8")  # earlier results, of no clips
    code = f"""
import sys
from pathlib import Path
from vavl_runtime.cli.run import main
sys.argv = ["vavl-run", {str(example_clip)!r}, "--bundle", {str(archive)!r}, "--all-paths", "--device", "cpu",
            "--threads", "1", "-f", "json", "-o", {str(output)!r}]
try:
    main()
finally:
    import os, tempfile
    print([name for name in os.listdir(tempfile.gettempdir()) if name.startswith("vavl-")])
"""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code = f"import tempfile; tempfile.tempdir = {str(temporary)!r}\n" + code
    assert successful("-c", code).splitlines()[-1] == "[]"
    expected = recognizer.predict(example_clip, all_paths=True)
    found = json.loads(output.read_text("utf-8"))["paths"]
    assert found.keys() == expected.paths.keys()
    for path, prediction in expected.paths.items():
        assert found[path]["scores"] == pytest.approx(dict(prediction.scores), abs=1e-5)


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from vavl_runtime.files import folder_beside
for content in ("old", "new"):
    with folder_beside(Path("made"), overwrite=True) as folder:
        (folder / "file").write_text(content, "utf-8")
        (folder / "file").chmod(0o444)
print(*sorted(path.as_posix() for path in Path().rglob("*")), Path("made/file").read_text("utf-8"))
"""
    assert successful("-c", code, cwd=tmp_path).split() == ["made", "made/file", "new"]


@pytest.mark.slow
def test_one_process_at_a_time_fills_a_feature_cache(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = """
import subprocess, sys
from pathlib import Path
import numpy as np
from vavl.errors import ConfigError
from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures
identity = CacheIdentity(dims={"audio": 3, "visual": 2}, encoders={"audio": "a", "visual": "v"}, recipe={})
if len(sys.argv) > 1:
    try:
        FeatureCache(Path("cache"), identity, writable=True)
    except ConfigError as error:
        sys.exit(str(error))
with FeatureCache(Path("cache"), identity, writable=True) as cache:
    cache.add("clip", "fingerprint", ClipFeatures((WindowFeatures(np.ones((4, 3), np.float32), None, 1.0, 0.0),)))
    other = subprocess.run([sys.executable, __file__, "other"], capture_output=True, text=True, encoding="utf-8")
    print(other.stderr.strip())
with FeatureCache(Path("cache"), identity, writable=True) as cache:
    print(len(cache), cache.windows("clip")[0].audio.shape)
"""
    script = tmp_path / "fill.py"
    script.write_text(code, "utf-8")
    refusal, answer = successful(script, cwd=tmp_path).splitlines()
    assert "another process is writing to this feature cache" in refusal
    assert answer == "1 (4, 3)"


@pytest.mark.slow
def test_the_doctor_answers() -> None:
    done = restricted("-c", "from vavl_runtime.cli.doctor import main; main()")
    assert "onnxruntime" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_measurement_names_what_cannot_be_read(tmp_path: Path) -> None:
    """The measuring process is restricted, too: it inherits the environment."""
    script = tmp_path / "bench.py"
    script.write_text("from vavl_bench.cli.app import main\nif __name__ == '__main__':\n    main()\n", "utf-8")
    options = [*OPTIONS, "--windows", "3", "--window", "0.05", "--warm-up", "0", "--limit", "5"]
    successful(script, "run", str(PACKAGED_BUNDLE), *options, "-o", "report.json", cwd=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["measurements"]
    for measurement in report["measurements"]:
        memory = measurement["metrics"]["memory"]
        assert memory["resident_mib"]["value"] is None
        assert "/proc/self/status" in memory["resident_mib"]["reason"]
