"""TensorBoard with its plugin, in a real browser, on what profkit captured and on the lanes it wrote; its table."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Frame, Page, sync_playwright

from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import read
from tests.conftest import ROOT
from tests.live.conftest import TORCHES, profkit_command, run_profkit
from tests.live.nesting_rules import CALLS_ITSELF, tables
from tests.live.processes import IDLE_S, descendants, run_while_it_progresses, started, wait_while_it_progresses
from tests.live.test_pages import CHROMIUM

pytestmark = pytest.mark.live
# The plugin draws its charts with a library that it fetches from Google's site, and draws nothing at all without it:
# in its place stands something that accepts every call. Tables and the trace view are the plugin's own.
CHARTS = """
(() => {
  const anything = () => new Proxy(function () {}, {
    get: (_, key) => (key === Symbol.toPrimitive ? () => 0 : key === "then" ? undefined : anything()),
    apply: () => anything(),
    construct: () => anything(),
  });
  const charts = { load() {}, setOnLoadCallback(done) { setTimeout(done, 0); } };
  window.google = { charts, visualization: anything() };
})();
"""


@pytest.fixture
def address(tmp_path: Path, captured: Path) -> Iterator[str]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian: apt-get install chromium")
    lanes = tmp_path / "logs/lanes/both.pt.trace.json.gz"
    lanes.parent.mkdir(parents=True)
    (tmp_path / "logs/2.0").symlink_to(captured / "logs/2.0")
    run_profkit(tmp_path, "lanes", ROOT / "traces/2.0-frozen", ROOT / "traces/2.15-frozen", "--output", lanes)
    with started(profkit_command("view", "logs", "--port", 0), tmp_path, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_tensorboard_and_what_it_started(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """No proxy leads to the network, so the charts cannot be loaded either, and the terminal says so."""
    command = profkit_command("view", ROOT / "traces/2.0", "--port", 0)
    nowhere = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    with started(
        command, tmp_path, env={**os.environ, **nowhere}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        assert re.match(r"TensorBoard: http://127\.0\.0\.1:\d+/", server.stdout.readline())
        assert "profkit view --html shows the runs without the network" in server.stderr.readline()
        assert descendants(server.pid)
        server.send_signal(number)
        wait_while_it_progresses(server, lambda: server.poll() is not None)
        assert server.returncode == status
        wait_while_it_progresses(server, lambda: not descendants(server.pid), idle_s=30)


def choose(frame: Frame, box: int, name: str) -> None:
    frame.locator("[role=button][aria-haspopup=listbox]").nth(box).click()
    frame.get_by_role("option", name=name, exact=True).click()


def test_every_view(address: str, polyfill: str | None) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(1000 * IDLE_S)  # a busy machine draws slowly
        page.route("**/charts/loader.js", lambda route: route.fulfill(body=CHARTS, content_type="text/javascript"))
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("iframe")
        frame = page.frames[-1]
        frame.get_by_text("Execution Summary").wait_for()  # the Overview
        choose(frame, 0, "2.0/tiny")
        choose(frame, 1, "Operator")
        frame.get_by_text("aten::_convolution").first.wait_for()
        choose(frame, 1, "Module")
        frame.locator("td", has_text="Tiny_0").first.wait_for()
        if polyfill is not None:
            page.route("**/webcomponents.min.js", lambda route: route.fulfill(body=polyfill))
            for run, process in (("2.0/tiny", "python"), ("lanes", "candidate: 2.15-frozen")):
                choose(frame, 0, run)
                choose(frame, 1, "Trace")
                trace_view_shows(page, process)
                choose(frame, 1, "Overview")
        assert errors == []
        browser.close()


def trace_view_shows(page: Page, process: str) -> None:
    """Wait until the embedded trace viewer has a model with such a process in it."""
    model = "document.querySelector('tr-ui-timeline-view')?.model"
    for _ in range(2 * IDLE_S):
        for frame in page.frames:
            if frame.url.endswith("trace_embedding.html"):
                names = frame.evaluate(f"Object.values({model}?.processes ?? {{}}).map(p => p.name ?? '')")
                if any(process in name for name in names):
                    return
        page.wait_for_timeout(500)
    raise AssertionError(f"the trace view shows no {process}")


@pytest.fixture
def polyfill(tmp_path: Path) -> str | None:
    """What the plugin's trace view needs of a browser that knows no web components of 2016; from npm, if it is here."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    packed = run_while_it_progresses([npm, "pack", "--silent", "webcomponents.js@0.7.24"], tmp_path)
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(next(tmp_path.glob("webcomponents*.tgz"))) as archive:
        member = archive.extractfile("package/webcomponents.min.js")
        assert member is not None
        return member.read().decode()


Server = tuple[str, "subprocess.Popen[str]"]


@pytest.fixture
def tensorboard(captured: Path) -> Iterator[Server]:
    """The address of TensorBoard, started by profkit view on runs that profkit captured, and the process."""
    command = profkit_command("view", "logs", "--port", 0, "--no-browser")
    with started(command, captured, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        address = re.search(r"http://[^/\s]+", server.stdout.readline())
        assert address is not None
        yield address[0], server
        server.send_signal(signal.SIGINT)
        wait_while_it_progresses(server, lambda: server.poll() is not None)
        assert server.returncode == 0


def ask(address: str, path: str, **query: str) -> Any:
    url = f"{address}/data/plugin/pytorch_profiler/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=IDLE_S) as answer:
        return json.load(answer)


RUNS = [f"{version}/{name}" for version in sorted(TORCHES) for name in ("resnet18", "tiny")]


def test_tensorboard_shows_the_same_operators(tensorboard: Server, captured: Path) -> None:
    """The plugin's table has every operator; where its calls are fewer, its rules say why, to the call.

    It orders by (start, -end) and merges an only child of the same name, as key_averages does: it loses the inner
    aten::div_ everywhere and, on 1.13's clock of 1 µs, what a later sibling swallows, aten::empty mostly. The model of
    those rules, fed with the same trace, predicts each of its counts; profkit counts every call in the file.
    """
    address, server = tensorboard

    def loaded() -> bool:
        answer = ask(address, "runs")
        return sorted(answer["runs"]) == RUNS and not answer["loading"]

    # each question costs the server CPU time: asked without end it would seem to work for ever
    wait_while_it_progresses(server, loaded, total_s=600)
    for run in RUNS:
        (worker,) = ask(address, "workers", run=run, view="Operator")
        (span,) = ask(address, "spans", run=run, worker=worker) or [""]
        table = ask(address, "operation/table", run=run, worker=worker, span=span, group_by="Operation")
        theirs = {row["name"]: row["calls"] for row in table["data"]}
        (path,) = (captured / "logs" / run).glob("*.pt.trace.json.gz")
        trace = read(path)
        samples = sum_operators(trace)
        ours = {key[0]: int(calls) for key, calls in zip(samples.keys, samples.calls[0], strict=True)}
        events = trace.operator_events
        order = np.lexsort((-events.end_ns, events.start_ns))
        spans = [(trace.names[events.name[i]], int(events.start_ns[i]), int(events.end_ns[i])) for i in order]
        predicted = {name: row[0] for name, row in tables(spans, like_pytorch=True).items()}
        assert theirs == predicted
        fewer = {name for name in ours if theirs[name] != ours[name]}
        assert all(theirs[name] <= ours[name] for name in ours)
        if run.startswith("2.15"):  # on a clock of 1 µs any short operator may be swallowed, as predicted above
            assert fewer <= {CALLS_ITSELF}
