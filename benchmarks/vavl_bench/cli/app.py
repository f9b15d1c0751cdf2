"""``vavl-bench``: what a bundle costs on this machine, and whether that changed."""

from vavl_bench.cli import compare, realtime, report, run
from vavl_bench.cli.default import DefaultCommandGroup
from vavl_runtime.cli.app import new_group, run_app

app = new_group(
    "Measure a bundle: latency, throughput, memory and energy, of each graph, the model and whole clips. "
    "'vavl-bench BUNDLE' is short for 'vavl-bench run BUNDLE'.",
    group=DefaultCommandGroup,
)
app.command(epilog=run.EPILOG)(run.run)
app.command("will-it-run", epilog=realtime.EPILOG)(realtime.will_it_run)
app.command(epilog=compare.EPILOG)(compare.compare)
app.command(epilog=report.EPILOG)(report.report)


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
