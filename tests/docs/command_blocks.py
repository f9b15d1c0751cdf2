"""Reads the command blocks of a Markdown page, and runs them in order in one shell as a reader would.

A fenced block is run if its language is ``bash``, ``console`` or ``python``. A ``console`` block holds ``$ command``
lines with their output below. A ``python`` block may be followed by a block ``text title="Output"``; if the ``python``
block has a title, it is a file to save under that name. A comment ``<!-- not run: reason -->`` on the line before a
block keeps it from being run.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
RUN = ("bash", "console", "python")
MARK = "=== end of command {number}: "


@dataclass(frozen=True)
class Command:
    """One thing to run.

    Attributes:
        line: Line of the page on which its block begins.
        script: What the shell runs.
        output: What the page shows below it; None if it shows nothing.
        not_run: Why the block is not run; None if it is.
    """

    line: int
    script: str
    output: str | None = None
    not_run: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    command: Command
    exit_code: int
    printed: str

    def problem(self) -> str | None:
        """Say what differs from the page: an exit code, or a word that the page shows and the command did not print."""
        if self.exit_code != 0:
            return f"line {self.command.line}: exit code {self.exit_code} of\n{self.command.script}\n{self.printed}"
        missing = [word for word in words(self.command.output or "") if word not in words(self.printed)]
        if missing:
            return f"line {self.command.line}: did not print {missing} but\n{self.printed}"
        return None


def words(text: str) -> set[str]:
    """Labels, paths and reasons: everything but numbers, which differ between machines."""
    return set(re.findall(r"[^\W\d]\w{2,}", text))


def commands(page: Path) -> list[Command]:
    """Read all commands of a page, in order."""
    text = page.read_text("utf-8")
    found: list[Command] = []
    for match in FENCE.finditer(text):
        language, _, title = match["info"].partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        if language in RUN:
            found.extend(_of_block(language, title, match["body"], line, match["reason"]))
        elif title == 'title="Output"' and found:
            found[-1] = Command(found[-1].line, found[-1].script, match["body"], found[-1].not_run)
    return found


def _of_block(language: str, title: str, body: str, line: int, reason: str | None) -> Iterator[Command]:
    if language == "console":
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            script, _, output = part.partition("\n")
            yield Command(line, script, output, reason)
    elif language == "python":
        saved = re.fullmatch(r'title="(.*)"', title)
        start = f"cat > {saved[1]}" if saved else "python -"
        yield Command(line, f"{start} <<'END_OF_BLOCK'\n{body}END_OF_BLOCK", None, reason)
    else:
        yield Command(line, body.rstrip("\n"), None, reason)


def run(page: list[Command], folder: Path, environment: Mapping[str, str], limit_s: float) -> list[Outcome]:
    """Run commands in one shell, so that variables and an activated environment last, as they do for a reader.

    Args:
        page: The commands of one page; those that say why they are not run are left out.
        folder: Working directory.
        environment: Environment variables of the shell.
        limit_s: Time limit of the whole page.
    """
    to_run = [command for command in page if command.not_run is None]
    script = "trap 'failed=$?' ERR\n" + "".join(  # any line of a block may fail, not only the last one
        f"failed=0\n{command.script}\nprintf '\\n{MARK.format(number=number)}%d\\n' $failed\n"
        for number, command in enumerate(to_run)
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
    )
    outcomes: list[Outcome] = []
    rest = done.stdout
    for number, command in enumerate(to_run):
        printed, mark, rest = rest.partition("\n" + MARK.format(number=number))
        code, _, rest = rest.partition("\n")
        outcomes.append(Outcome(command, int(code) if mark else -1, printed))
    return outcomes
