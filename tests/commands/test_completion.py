"""Shell completion: the script for each shell, and what it offers."""

import pytest

from tests.commands.programs import MODULES, run_apart


@pytest.mark.parametrize("program", MODULES)
def test_every_program_installs_and_shows_it(program: str) -> None:
    shown = run_apart(program, "--help").stdout
    assert "--install-completion" in shown
    assert "--show-completion" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_completes_the_command(shell: str) -> None:
    """The script that the options install and show; they find out the shell from the parent process."""
    done = run_apart("vavl-bench", _VAVL_BENCH_COMPLETE=f"source_{shell}")
    assert done.returncode == 0, done.stderr
    assert "_VAVL_BENCH_COMPLETE=complete_" in done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vavl-bench comp", {"compare"}),
        ("vavl-bench will-it-run --re", {"--reserve"}),
        ("vavl-run --pre", {"--precision"}),
        ("vavl-run --backend ten", {"tensorrt"}),
        ("vavl-export ins", {"inspect"}),
    ],
)
def test_what_is_offered(line: str, offered: set[str]) -> None:
    program, *words = line.split()
    variables = {
        f"_{program.upper().replace('-', '_')}_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    assert set(run_apart(program, **variables).stdout.split()) == offered
