"""Builds the wheel, the source distribution, the wheel's SBOM and their hashes from one commit.

python -m release.build [--commit REVISION] [--output dist]

Two machines with the versions of requirements/dev.lock get the same bytes: the files come from the commit and not from
the checkout, where others may lie beside them, and every date is the commit's. `sha256sum --check SHA256SUMS` in the
output folder tells whether they agree.
"""

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from release.sbom import bill_of_materials, path_of
from vavl_runtime.files import write_atomically

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 600
SUMS = "SHA256SUMS"


def build(repository: Path, commit: str, output: Path) -> list[Path]:
    """Build everything that a release consists of.

    Args:
        repository: A Git checkout; its uncommitted changes are not used.
        commit: What to build, such as a tag.
        output: Folder for the files; older distributions in it are an error.

    Returns:
        Wheel, source distribution, SBOM, and the file of their hashes.

    Raises:
        FileExistsError: The folder holds distributions already.
        RuntimeError: Git or the build failed.
    """
    if there := sorted(path.name for path in output.glob("vavl_edge-*")):
        raise FileExistsError(f"{output} holds {', '.join(there)}; remove them, or build into an empty folder")
    git = ["git", "-C", str(repository)]
    date = _call([*git, "show", "--no-patch", "--format=%ct", f"{commit}^{{commit}}"]).decode().strip()
    files = _call([*git, "archive", "--format=tar", commit])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(files)) as tar:
            tar.extractall(folder, filter="data")
        options = ["--no-isolation", "--outdir", str(output.resolve()), folder]
        _call([sys.executable, "-m", "build", *options], env=os.environ | {"SOURCE_DATE_EPOCH": date})
    (wheel,) = output.glob("vavl_edge-*.whl")
    (source,) = output.glob("vavl_edge-*.tar.gz")
    write_atomically(path_of(wheel), bill_of_materials(wheel).encode())
    built = [wheel, source, path_of(wheel)]
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in built)
    write_atomically(output / SUMS, sums.encode())
    return [*built, output / SUMS]


def _call(command: list[str], env: dict[str, str] | None = None) -> bytes:
    """Run a program; what it wrote on stdout."""
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, env=env, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-20:])
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


def main() -> int:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="HEAD", help="what to build; HEAD by default")
    parser.add_argument("--output", "-o", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args()
    if changed := _call(["git", "-C", str(ROOT), "status", "--porcelain"]).decode().splitlines():
        print(f"{len(changed)} changed or new files of the checkout are not built: commit them first", file=sys.stderr)
    for path in build(ROOT, arguments.commit, arguments.output):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
