"""Python on an emulated aarch64 processor, with the onnxruntime of JetPack 6.

    python -m tests.platforms.emulator FOLDER -m pytest tests/runtime/test_windows.py

The first call fills FOLDER with Debian's arm64 Python and wheels of the runtime's dependencies (half a minute). It
makes FOLDER/python, a command that works like the `python` of an aarch64 machine. Needs root on Debian, apt and pip.
"""

import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The last for JetPack 6. Newer versions crash at import under the QEMU that Debian 12 has.
ONNXRUNTIME = "onnxruntime==1.23.2"
TEST_TOOLS = ("pytest", "hypothesis")
EMULATOR = "qemu-aarch64-static"
TOOLS = {EMULATOR: "qemu-user-static", "debootstrap": "debootstrap"}  # Debian's package by command
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
TIMEOUT_S = 600
LAUNCHER = """#!/bin/sh
# Under its own name, so that sys.executable is this file and child processes are emulated too.
export PYTHONHOME="{root}/usr" ORT_DISABLE_TELEMETRY=1
export PYTHONPATH="{site}${{PYTHONPATH:+:$PYTHONPATH}}"
exec {emulator} -cpu cortex-a76 -L "{root}" -0 "$0" "{interpreter}" "$@"
"""


class EmulatorUnavailableError(Exception):
    """The emulated machine cannot be set up here; the message says why."""


def emulated_python(folder: Path) -> Path:
    """Set up the emulated machine, once.

    Args:
        folder: Where it lies; its parent must exist.

    Returns:
        The command to use as `python`.

    Raises:
        EmulatorUnavailableError: A tool, the network or a right is missing.
    """
    launcher = folder / "python"
    if launcher.exists():
        return launcher
    if not sys.platform.startswith("linux") or not shutil.which("apt-get") or os.geteuid() != 0:
        raise EmulatorUnavailableError("setting up an emulated aarch64 machine needs Debian, apt and root")
    missing = [package for command, package in TOOLS.items() if not shutil.which(command)]
    if missing:
        _call("apt-get", "update", "-qq")
        _call("apt-get", "install", "-y", "-qq", *missing)
    root, site = folder / "root", folder / "site"
    interpreter = _install_system(root)
    _install_wheels(site, interpreter.name.removeprefix("python"))
    text = LAUNCHER.format(root=root, site=site, emulator=shutil.which(EMULATOR), interpreter=interpreter)
    launcher.write_text(text, "utf-8")
    launcher.chmod(0o755)
    return launcher


def _install_system(root: Path) -> Path:
    """Unpack a small Debian for arm64, without running anything of it; returns its Python."""
    codename = _call("sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME").strip()
    mirrors = _call("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    if not mirrors:
        raise EmulatorUnavailableError("apt knows no package source")
    options = ("--arch=arm64", "--foreign", "--variant=minbase", "--include=python3")
    _call("debootstrap", *options, codename, root, mirrors[0])
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        _call("dpkg", "-x", package, root)
        package.unlink()
    return next(path for path in sorted((root / "usr/bin").glob("python3.*")) if path.name.count(".") == 1)


def _install_wheels(site: Path, python: str) -> None:
    """Install the base dependencies, onnxruntime and pytest for aarch64."""
    dependencies = [line for line in requires("vavl-edge") or () if "extra ==" not in line]
    options = [f"--platform={platform}" for platform in PLATFORMS]
    options += ["--only-binary=:all:", f"--python-version={python}", "--implementation=cp", f"--target={site}"]
    pip = (sys.executable, "-m", "pip", "install", "--quiet")
    _call(*pip, *options, ONNXRUNTIME, *dependencies, *TEST_TOOLS)


def _call(*command: object) -> str:
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise EmulatorUnavailableError(f"{arguments[0]} took more than {TIMEOUT_S} s") from error
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["no message"])[-1]
        raise EmulatorUnavailableError(f"{' '.join(arguments[:3])} ended with {done.returncode}: {last}")
    return done.stdout


def main() -> int:
    """Run Python on the emulated machine."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    python = emulated_python(Path(sys.argv[1]).absolute())
    return subprocess.run([python, *sys.argv[2:]]).returncode


if __name__ == "__main__":
    sys.exit(main())
