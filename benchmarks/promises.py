"""What docs/reliability.md promises, and the test files that keep each promise."""

from typing import NamedTuple


class Promise(NamedTuple):
    """A promise of the product.

    Attributes:
        area: Heading under which the page shows it.
        text: What holds.
        tests: The files that fail when it does not hold, from the repository's root.
    """

    area: str
    text: str
    tests: tuple[str, ...]


NETWORK, RESULTS, BUNDLES, MEDIA = "Privacy and network", "Nothing lost", "Bundles", "Media"
SUPPLY = "Supply chain"

PROMISES = (
    Promise(
        NETWORK,
        "Nothing is sent and no device number is kept: no command leaves a file in the home folder, and in 90 s under "
        "strace there is no connection and no file but those that were asked for.",
        ("tests/runtime/test_privacy.py",),
    ),
    Promise(
        NETWORK,
        "`vavl-run --privacy-receipt` tells what was read, written, connected to and started.",
        ("tests/runtime/test_privacy.py",),
    ),
    Promise(
        NETWORK,
        "A media file cannot make FFmpeg open another file or a connection: playlists, lists of files and descriptions "
        "of streams are `unsupported_media`, whatever they are called.",
        ("tests/runtime/test_hostile_media.py",),
    ),
    Promise(
        RESULTS,
        "`vavl-run -o` replaces no file of somebody else and never an input.",
        ("tests/runtime/test_output.py",),
    ),
    Promise(
        RESULTS,
        "A run that is killed at any moment has lost nothing that it reported: with `--resume` each result is in the "
        "file once.",
        ("tests/runtime/test_output.py",),
    ),
    Promise(
        RESULTS,
        "SIGTERM and SIGHUP end cleanly; what a killed process left in temporary folders is removed or named.",
        ("tests/runtime/test_output.py", "tests/runtime/test_private_folder.py", "tests/runtime/test_files.py"),
    ),
    Promise(
        RESULTS,
        "Features and training go on after a kill with what was finished; a full disk leaves the cache usable.",
        (
            "tests/features/test_cache_killed.py",
            "tests/features/test_cache_full_disk.py",
            "tests/cli/test_resuming.py",
        ),
    ),
    Promise(
        RESULTS,
        "A full disk, closed streams, missing folders and too little memory are one line and the documented exit code.",
        ("tests/commands/test_streams.py",),
    ),
    Promise(
        BUNDLES,
        "An archive costs neither more memory nor more disk than its limits allow, and a refused one leaves nothing.",
        ("tests/runtime/test_bad_archive.py",),
    ),
    Promise(
        BUNDLES,
        "What was hashed is what runs: one altered byte is refused, and files that change later change no answer.",
        ("tests/runtime/test_altered_bundle.py",),
    ),
    Promise(
        BUNDLES,
        "A graph reads listed weight files only, and holds no loops, functions or operators of other libraries.",
        ("tests/runtime/test_hostile_graph.py",),
    ),
    Promise(
        BUNDLES,
        "A manifest with wrong numbers, names or paths is refused on opening.",
        ("tests/runtime/test_bad_bundle.py",),
    ),
    Promise(
        BUNDLES,
        "Answers are finite, or there is an error.",
        ("tests/runtime/test_finite.py",),
    ),
    Promise(
        BUNDLES,
        "With `--trusted-keys`, a bundle that is not signed by one of these keys, or was changed after, is refused.",
        ("tests/export/test_signing.py",),
    ),
    Promise(
        BUNDLES,
        "`vavl-run --selftest` compares every graph with its golden vectors on the backend that is really used.",
        ("tests/runtime/test_self_test.py",),
    ),
    Promise(
        MEDIA,
        "A clip that cannot be used is one record and one line; names are shown with control characters escaped.",
        ("tests/runtime/test_bad_media.py", "tests/runtime/test_bad_media_cli.py"),
    ),
    Promise(
        MEDIA,
        "Large pictures are refused before they fill memory; absurd headers cost neither memory nor time.",
        ("tests/runtime/test_media_limits.py",),
    ),
    Promise(
        MEDIA,
        "With `--jobs`, a process that dies costs one clip.",
        ("tests/serving/test_ends.py",),
    ),
    Promise(
        MEDIA,
        "Clips of folders are read in a process of its own with limits on memory and time: one that crashes, hangs or "
        "fills memory is one failed clip.",
        ("tests/serving/test_limits.py", "tests/serving/test_ends.py"),
    ),
    Promise(
        MEDIA,
        "Damaged files of all kinds give an answer or an error of our own tree; a short run of the fuzzer is among the "
        "fast tests.",
        ("tests/fuzz/test_targets.py",),
    ),
    Promise(
        SUPPLY,
        "What `make dist` builds from a commit has the same bytes everywhere and holds the commit's files alone; its "
        "SBOM names licence and hash of every file of a bundle.",
        ("tests/release/test_build.py", "tests/release/test_sbom.py", "tests/release/test_weight_licences.py"),
    ),
    Promise(
        SUPPLY,
        "Every dependency has an upper bound, and development installs exactly what the lock file names, with hashes.",
        ("tests/release/test_requirements.py",),
    ),
)
