"""``vavl-doctor``: what this machine can run, and the command that mends what it cannot."""

from vavl_runtime.doctor.environment import Environment, this_machine
from vavl_runtime.doctor.remedies import Remedy
from vavl_runtime.doctor.report import Fact, Report, examine
from vavl_runtime.doctor.verdict import Verdict

__all__ = ["Environment", "Fact", "Remedy", "Report", "Verdict", "examine", "this_machine"]
