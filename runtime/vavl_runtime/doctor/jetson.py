"""Which JetPack a Jetson runs, and in which power mode."""

import re
from dataclasses import dataclass

RELEASE_FILE = "/etc/nv_tegra_release"
POWER_MODE_COMMAND = ("nvpmodel", "-q")

# Major and minor of L4T -> JetPack, and the major of the CUDA that comes with it.
_JETPACKS = {
    (36, 2): ("6.0 DP", 12),
    (36, 3): ("6.0", 12),
    (36, 4): ("6.1 or 6.2", 12),
    (36, 5): ("6.2", 12),
    (38, 2): ("7.0", 13),
    (38, 4): ("7.1", 13),
    (39, 2): ("7.2", 13),
}


@dataclass(frozen=True)
class Jetson:
    """A Jetson.

    Attributes:
        l4t: Version of Jetson Linux, such as ``36.4.3``.
        jetpack: The JetPack it belongs to, in words.
        major: Major of the JetPack; None if the release is not known.
        cuda: Major of its CUDA; None if the release is not known.
    """

    l4t: str
    jetpack: str
    major: int | None
    cuda: int | None


def parse_release(text: str | None) -> Jetson | None:
    """Read ``/etc/nv_tegra_release``.

    Args:
        text: Its content; None if there is no such file.

    Returns:
        The Jetson; None if this is none.
    """
    match = re.match(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+)(?:\.(\d+))?", text or "")
    if match is None:
        return None
    release, minor = int(match[1]), int(match[2])
    l4t = f"{release}.{minor}" + (f".{match[3]}" if match[3] else "")
    if (release, minor) not in _JETPACKS:
        return Jetson(l4t, "not known to this version", None, None)
    jetpack, cuda = _JETPACKS[release, minor]
    return Jetson(l4t, jetpack, int(jetpack[0]), cuda)


def parse_power_mode(text: str | None) -> str | None:
    """Read what ``nvpmodel -q`` prints.

    Args:
        text: The output; None if there is no such command.

    Returns:
        The mode, such as ``MAXN`` or ``15W``; None if it is not told.
    """
    match = re.search(r"NV Power Mode:\s*(\S+)", text or "")
    return match[1] if match else None
