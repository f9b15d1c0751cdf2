"""The reader of command blocks finds what fails: an exit code, a missing word, an unclosed environment."""

import os
from pathlib import Path

import pytest

from tests.docs.command_blocks import commands, run

PAGE = """
# A page

```bash
greeting=hello
```

```console
$ echo "$greeting world"
hello world 0.61
$ echo other
something
```

<!-- not run: there is no such machine -->
```bash
false
```

```python title="made.py"
print("made")
```

```bash
false
python made.py
```

```text
not a command
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE, "utf-8")
    return path


def test_commands_are_read_in_order_with_their_output(page: Path) -> None:
    found = commands(page)
    assert [command.script.splitlines()[0] for command in found] == [
        "greeting=hello",
        'echo "$greeting world"',
        "echo other",
        "false",
        "cat > made.py <<'END_OF_BLOCK'",
        "false",
    ]
    assert [command.output for command in found[:3]] == [None, "hello world 0.61\n", "something\n"]
    assert [command.not_run for command in found].count("there is no such machine") == 1


def test_one_shell_runs_all_and_every_difference_is_told(page: Path) -> None:
    outcomes = run(commands(page), page.parent, os.environ, 60)
    problems = [outcome.problem() for outcome in outcomes]
    assert [problem is None for problem in problems] == [True, True, False, True, False]
    assert "did not print ['something']" in str(problems[2])
    assert "exit code 1" in str(problems[4])
    assert "made" in outcomes[4].printed


def test_a_shell_that_ends_early_is_a_problem(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nexit 0\n```\n\n```bash\ntrue\n```\n", "utf-8")
    assert all(outcome.problem() for outcome in run(commands(page), tmp_path, os.environ, 60))
