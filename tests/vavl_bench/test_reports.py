"""Reports for readers: what is in the record is in each of them, and the page is looked at in a browser."""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vavl_bench.fakes import QUICK, always, jittered
from tests.vavl_bench.reports import made_measurement, made_report
from vavl_bench.compare import compare_reports
from vavl_bench.reports.colours import COLOURS
from vavl_bench.reports.html_bars import percentile_bars, stage_rows
from vavl_bench.reports.notes import notes
from vavl_bench.reports.page import report_page
from vavl_bench.reports.table import comparison_table, report_table
from vavl_bench.reports.text import report_csv, report_markdown
from vavl_bench.reports.writing import check_output, write_as
from vavl_bench.schema import Budget, Failure, Measurement, Quantity, Report
from vavl_runtime.errors import OutputError

BUDGET = Budget(
    total_ms=100.0,
    covered=0.99,
    concurrent_ms=15.0,
    busy_ms={"MainThread": {"decode_video": 20.0, "detect": 60.0}, "sound": {"audio_encoder": 34.0}},
)
CHARTS = ["Latency", "Stages of a clip", "Throughput against batch", "Latency against length"]


def with_budget(measurement: Measurement) -> Measurement:
    assert measurement.metrics is not None
    return measurement.model_copy(update={"metrics": measurement.metrics.model_copy(update={"budget": BUDGET})})


@pytest.fixture(scope="module")
def rich() -> Report:
    """A report that fills every plot, with a server measurement and a failed one."""
    measurements = [
        made_measurement(jittered(0.01 * batch * seconds, seed=batch), batch=batch, seconds=float(seconds))
        for batch in (1, 2, 4)
        for seconds in (1, 3)
    ]
    server = made_measurement(always(0.01), scenario="server")
    failed = Measurement(
        key=measurements[0].key.model_copy(update={"batch": 64}), error=Failure(kind="input", message="too <large>")
    )
    return made_report(with_budget(measurements[0]), *measurements[1:], server, failed)


Written = Callable[[Report], str]


@pytest.mark.parametrize("write", [report_table, report_markdown, report_page])
def test_every_cell_and_its_figures_are_there(rich: Report, write: Written) -> None:
    text = write(rich)
    for measurement in rich.measurements:
        if measurement.metrics is not None:
            assert f"{measurement.metrics.latency.p50_ms:.2f}" in text
            assert f"{measurement.metrics.latency.max_ms:.2f}" in text
    assert "too <large>" in text or "too &lt;large&gt;" in text
    assert "graph" in text and "server" in text


def test_csv_is_csv_with_units_in_its_header(rich: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(rich))))
    assert len(rows) == len(rich.measurements)
    first = rich.measurements[0].metrics
    assert first is not None
    assert float(rows[0]["p99_ms"]) == first.latency.p99_ms
    assert rows[-1]["p99_ms"] == ""
    assert rows[0]["bundle_sha256"] == "0" * 64


def test_the_notes_say_what_to_mistrust() -> None:
    unstable = made_measurement(0.01 * 1.05**i for i in range(10_000))
    text = report_table(made_report(unstable, finished=False))
    assert "INTERRUPTED" in text
    assert "1 of 1 measurements UNSTABLE: windows disagreed by more than 5 %" in text
    assert "energy not measured: no GPU in use" in text
    assert "scope graph: one graph" in text


def test_a_search_that_ran_out_of_time_says_between_which_rates() -> None:
    def searched(limit_s: float) -> Report:
        settings = replace(QUICK, limit_s=limit_s)
        return made_report(made_measurement(always(0.1), scenario="server", bound_ms=500.0, windows=settings))

    short, long = searched(7.0), searched(300.0)
    (line,) = (note for note in notes(short) if "highest rate" in note)
    metrics = short.measurements[0].metrics
    assert metrics is not None
    assert metrics.server is not None
    assert f"between {metrics.server.highest_rate_per_s:.2f} and " in line
    assert not any("highest rate" in note for note in notes(long))


def test_clock_and_temperature_stand_in_the_table(rich: Report) -> None:
    measurement = rich.measurements[0]
    assert measurement.metrics is not None
    after = measurement.metrics.after.model_copy(
        update={"cpu_celsius": Quantity(value=61.4), "gpu_mhz": Quantity(value=1980)}
    )
    metrics = measurement.metrics.model_copy(update={"after": after})
    report = rich.model_copy(update={"measurements": (measurement.model_copy(update={"metrics": metrics}),)})
    header, row = (line.split() for line in report_table(report).splitlines() if "subject" in line or " 1980" in line)
    assert {"°C", "GPU"} <= set(header)
    assert {"61", "1980"} <= set(row)


def test_a_comparison_shows_both_sides(rich: Report) -> None:
    text = comparison_table(compare_reports(rich, rich, 0.05), "a.json", "b.json")
    assert text.count("same") == len([measurement for measurement in rich.measurements if measurement.metrics])
    assert "a.json" in text and "b.json" in text


def test_the_page_needs_nothing_from_outside(rich: Report) -> None:
    page = report_page(rich)
    addresses = set(re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', page))
    assert {address for address in addresses if not address.startswith("#")} == set()
    assert "<script" not in page


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_chart_without_points_is_left_out() -> None:
    assert headings(report_page(made_report(made_measurement(always(0.01))))) == ["Results", "Latency", "Every figure"]
    assert headings(report_page(made_report())) == ["Results", "Every figure"]


def test_every_table_of_the_page_is_in_a_container_that_scrolls(rich: Report) -> None:
    page = report_page(rich)
    assert page.count("<table") == page.count('<div class="wide"><table') == 2
    assert ".wide { overflow-x: auto; }" in page


def test_the_summary_has_state_and_memory_beside_few_figures(rich: Report) -> None:
    (summary,) = re.findall(r'<table class="summary">(.*?)</table>', report_page(rich))
    head, *rows = re.findall(r"<tr.*?</tr>", summary)
    titles = re.findall(r"<th.*?>(.*?)</th>", head)
    assert titles[:2] == ["measurement", "state"] and "peak MiB" in titles
    assert len(titles) <= 9
    assert len(rows) == len(rich.measurements)
    for measurement, row in zip(rich.measurements, rows, strict=True):
        state = "failed" if measurement.metrics is None else measurement.metrics.stability.verdict
        assert f'class="state {state}"' in row
        assert re.findall(r'data-title="(.*?)"', row) == titles[2:]


def test_each_measurement_has_three_bars_on_one_scale(rich: Report) -> None:
    measurements = [m for m in rich.measurements if m.metrics is not None]
    drawn = [float(width) for width in re.findall(r"width:([\d.]+)%", percentile_bars(rich.measurements))]
    latencies = [m.metrics.latency for m in measurements if m.metrics is not None]
    values = [value for latency in latencies for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms)]
    assert drawn == pytest.approx([100 * value / max(values) for value in values], abs=0.01)


def test_stages_follow_one_another_up_to_the_wall_time() -> None:
    rows = list(stage_rows(BUDGET))
    places = [tuple(map(float, re.findall(r"(?:left|width):([\d.]+)%", row))) for row in rows]
    assert places == [(0.0, 20.0), (20.0, 60.0), (), (0.0, 34.0), (0.0, 100.0)]
    assert "detect" in rows[1] and "60.0 ms, 60%" in rows[1]
    assert "sound" in rows[2]
    assert "wall time" in rows[-1] and "100.0 ms" in rows[-1]


def test_a_thread_that_outlasts_the_clip_still_fits() -> None:
    long = BUDGET.model_copy(update={"busy_ms": {"MainThread": {"detect": 50.0}, "frames": {"decode_video": 400.0}}})
    places = [tuple(map(float, re.findall(r"(?:left|width):([\d.]+)%", row))) for row in stage_rows(long)]
    assert max(sum(place) for place in places) == 100.0


def test_html_without_matplotlib_is_refused_before_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(OutputError, match=r"pip install 'vavl-edge\[report\]'"):
        check_output(Path("a.html"))
    with pytest.raises(OutputError, match=r"got the suffix '\.pdf', expected \.json, \.csv, \.md, \.html"):
        check_output(Path("a.pdf"))


@pytest.fixture(scope="session")
def browser() -> str:
    """A browser without a window."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium or Chrome on this machine to look at the page with")


@pytest.mark.slow
def test_a_browser_shows_the_page(rich: Report, browser: str, tmp_path: Path) -> None:
    write_as(rich, tmp_path / "page.html")
    picture = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,3200"]
    command = [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}"]
    address = (tmp_path / "page.html").as_uri()
    environment = os.environ | {"HOME": str(tmp_path)}
    for what in (["--dump-dom"], [f"--screenshot={picture}"]):
        done = subprocess.run([*command, *what, address], capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr
        if what == ["--dump-dom"]:
            assert headings(done.stdout) == ["Results", *CHARTS, "Every figure"]
            assert done.stdout.count("<svg") >= len(CHARTS)
            assert done.stdout.count("<tr") == 2 * (len(rich.measurements) + 1)
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in COLOURS[:3]:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == wanted).all(axis=1).sum() > 50, f"nothing is drawn in {colour}"
