"""Fixtures of the training tests."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs take milliseconds here; making their files durable would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
