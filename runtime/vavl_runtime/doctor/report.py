"""The doctor's findings, as text and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from vavl_runtime.doctor.environment import Environment
from vavl_runtime.doctor.facts import facts, look
from vavl_runtime.doctor.remedies import Remedy, advice, conflicts
from vavl_runtime.doctor.verdict import Verdict, cpu_verdict, gpu_verdict


@dataclass(frozen=True)
class Fact:
    """One thing that is there or not."""

    name: str
    value: str


@dataclass(frozen=True)
class Report:
    """All findings.

    Attributes:
        facts: What is there.
        conflicts: Installations that conflict.
        advice: What to install so that more works.
        cpu: Whether clips can be processed on the CPU.
        gpu: Whether clips can be processed on a GPU.
    """

    facts: tuple[Fact, ...]
    conflicts: tuple[Remedy, ...]
    advice: tuple[Remedy, ...]
    cpu: Verdict
    gpu: Verdict

    @property
    def runs(self) -> bool:
        """Whether clips can be processed here at all."""
        return self.cpu.works or self.gpu.works

    def to_json(self) -> dict[str, Any]:
        """Return plain values; ``facts`` by name."""
        return {
            "facts": {fact.name: fact.value for fact in self.facts},
            "conflicts": [asdict(remedy) for remedy in self.conflicts],
            "advice": [asdict(remedy) for remedy in self.advice],
            "verdict": {"cpu": asdict(self.cpu), "gpu": asdict(self.gpu)},
        }

    def lines(self) -> Iterator[str]:
        """Yield the findings as lines of text, the verdict last."""
        width = max(len(fact.name) for fact in self.facts)
        for fact in self.facts:
            yield f"{fact.name:<{width}}  {fact.value}"
        for title, remedies in (("conflict", self.conflicts), ("advice", self.advice)):
            for remedy in remedies:
                yield f"{title}: {remedy.problem}"
                yield f"    {remedy.command}"
        if not self.conflicts:
            yield "no conflict found"
        yield f"CPU: {self.cpu}"
        yield f"GPU: {self.gpu}"


def examine(environment: Environment) -> Report:
    """Look at a machine.

    Args:
        environment: The machine; `vavl_runtime.doctor.this_machine` or a made-up one.

    Returns:
        The findings.
    """
    machine = look(environment)
    return Report(
        tuple(Fact(name, value) for name, value in facts(machine)),
        tuple(conflicts(machine)),
        tuple(advice(machine)),
        cpu_verdict(machine),
        gpu_verdict(machine),
    )
