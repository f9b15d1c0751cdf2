"""A misspelt option or command is answered with the one that was meant."""

from pathlib import Path

import pytest

from tests.commands.programs import run


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("vavl-run", "clip.mp4", "--precison", "fp16"), "--precision"),
        (("vavl-doctor", "--jsn"), "--json"),
        (("vavl-bench", "compare", "a", "b", "--tolerence", "3"), "--tolerance"),
        (("vavl-bench", "compaer", "a", "b"), "'compare'"),
        (("vavl-bench", "will-it-rum"), "'will-it-run'"),
        (("vavl-export", "verifyy", "bundle"), "'verify'"),
        (("vavl-export", "verify", "--bundel", "bundle"), "--bundle"),
        (("vavl-train", "evaluatte", "run"), "'evaluate'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_the_message_names_what_was_meant(arguments: tuple[str, ...], meant: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    message = " ".join(result.stderr.split("Error: ")[1].split())
    assert meant in message
    assert any(words in message.lower() for words in ("did you mean", "possible options"))


def test_a_bundle_may_be_called_like_a_command(
    light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is not there is taken for a misspelt command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").symlink_to(light_bundle)
    assert run("vavl-bench", "reports", "--version").exit_code == 0
