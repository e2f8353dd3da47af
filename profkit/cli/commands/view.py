"""``profkit view``: open runs in TensorBoard, in Perfetto, or as a page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.options import read_options, write_whole
from profkit.errors import CaptureError, UsageError
from profkit.runs import Run, find_runs

if TYPE_CHECKING:
    from profkit.report.page import Page
    from profkit.trace.options import ReadOptions

EPILOG = """\b
Examples:
  profkit view logs
  profkit view logs/1.13 logs/2.0 --port 6007
  profkit view --html logs                                        (all runs on one page)
  profkit view --perfetto logs/1.13/resnet50 logs/2.0/resnet50    (both forwards as two lanes)
"""
_ADDRESS = re.compile(r"http://\S+")
_CHECK = "import tensorboard.main, torch_tb_profiler.plugin"
_INSTALL = "pip install 'profkit[tensorboard]' installs TensorBoard and its profiler plugin."
# how the plugin is known to break, by what Python says, and what mends it
_BROKEN = (
    ("No module named 'tensorboard'", _INSTALL),
    ("No module named 'torch_tb_profiler'", _INSTALL),
    ("pkg_resources", "setuptools 81 and later lack what TensorBoard imports: pip install 'setuptools<81'."),
    ("Descriptors cannot", "protobuf is too new for this TensorBoard: pip install --upgrade tensorboard."),
    ("numpy.dtype size changed", "pandas is built for another NumPy: pip install --upgrade --force-reinstall pandas."),
    ("pandas", "The plugin cannot use this pandas: pip install --upgrade --force-reinstall pandas."),
)
_PAGES = 20  # kept in the cache folder
_PERFETTO_PORT = 9001  # the one that the policy of ui.perfetto.dev allows


@click.command("view", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--perfetto", "how", flag_value="perfetto", help="In ui.perfetto.dev: one run, or two as lanes.")
@click.option("--html", "how", flag_value="html", help="As a page: one run, the diff of two, or a list of many.")
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--no-browser", is_flag=True, help="Say the address, and open nothing.")
@read_options
def command(
    runs: Sequence[Path], how: str | None, port: int, host: str, no_browser: bool, reading: ReadOptions
) -> None:
    """Show RUNs in TensorBoard with the profiler plugin, in Perfetto, or as a page.

    TensorBoard and Perfetto are served until Ctrl-C; --html writes a page, says where, and opens it.
    """
    found = [run for path in runs for run in find_runs(path)]  # says what is wrong with a path before an empty page
    with tempfile.TemporaryDirectory(prefix="profkit-view-") as scratch:
        if how == "perfetto":
            _perfetto(found, Path(scratch), reading, opens=not no_browser)
        elif how == "html":
            _html(found, reading, opens=not no_browser)
        else:
            _tensorboard(runs, found, Path(scratch), host, port)


def _tensorboard(paths: Sequence[Path], runs: Sequence[Run], scratch: Path, host: str, port: int) -> None:
    _check_plugin()
    logdir = paths[0] if len(paths) == 1 and paths[0].is_dir() else _linked(runs, scratch)
    arguments = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    arguments += ["--host", host, "--port", str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            _relay(server)
        except KeyboardInterrupt:
            click.echo("", err=True)
        finally:
            server.terminate()


def _perfetto(runs: Sequence[Run], scratch: Path, reading: ReadOptions, *, opens: bool) -> None:
    """Serve one run's trace with its primitives, or two runs' lanes, to ui.perfetto.dev alone."""
    from profkit.cli.serving import serve
    from profkit.onednn.merge import encode_document, merge
    from profkit.runs.contents import RunContents
    from profkit.views.lanes import lanes

    target = scratch / "trace.json.gz"
    if len(runs) == 2:
        target.write_bytes(encode_document(lanes(runs[0], runs[1], reading), target))
    elif len(runs) == 1:
        joined = RunContents(runs[0], reading).primitives
        runs[0].require_traces()
        if joined is not None:
            target.write_bytes(encode_document(merge(joined)[0], target))
        else:
            target.symlink_to(runs[0].traces[0].resolve())
    else:
        raise UsageError(f"{len(runs)} runs are too many for Perfetto", hint="Name one run, or two to see as lanes.")
    serve(target, _PERFETTO_PORT, opens=opens)


def _html(runs: Sequence[Run], reading: ReadOptions, *, opens: bool) -> None:
    """Write a page into the cache folder, where a browser that comes late still finds it, and open it."""
    from profkit.files import cache_root
    from profkit.report.formats.html.render import render_html

    page = _page(runs, reading)
    what = "-".join(dict.fromkeys(re.sub(r"[^\w.+-]", "-", run.label) for run in runs))[:60]
    digest = sha256("\n".join(str(run.path.resolve()) for run in runs).encode(errors="replace")).hexdigest()
    target = cache_root() / "pages" / f"{what}-{digest[:8]}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(target.parent.glob("*.html"), key=lambda path: path.stat().st_mtime)[:-_PAGES]:
        old.unlink(missing_ok=True)
    write_whole(target, render_html(page).encode("utf-8", "replace"))
    click.echo(target.as_uri())
    if opens:
        click.launch(target.as_uri())


def _page(runs: Sequence[Run], reading: ReadOptions) -> Page:
    from profkit.report.kinds import kind_of
    from profkit.report.rendering import make_page
    from profkit.report.runs_page import runs_page
    from profkit.views.diff import compare_runs
    from profkit.views.many import compare_many
    from profkit.views.operators import view_operators

    if len(runs) == 1:
        return make_page(kind_of("operators"), view_operators(runs[0], per_forward=True, options=reading))
    if len(runs) == 2 and runs[0].workload == runs[1].workload:
        return make_page(kind_of("diff"), compare_runs(runs[0].path, runs[1].path, options=reading))
    try:
        return runs_page(runs, compare_many([run.path for run in runs], options=reading))
    except UsageError as error:  # such as two of one label: they are listed all the same
        return runs_page(runs, None, str(error))


def _linked(runs: Sequence[Run], folder: Path) -> Path:
    """Fill ``folder`` with links to runs that lie apart: the plugin shows what is below one folder."""
    for number, run in enumerate(runs):
        name = re.sub(r"[^\w.+-]", "-", f"{run.label}-{run.workload}" if run.manifest else run.path.name)
        place = folder / (name if not (folder / name).exists() else f"{name}-{number}")
        if run.path.is_dir():
            place.symlink_to(run.path.resolve(), target_is_directory=True)
        else:
            place.mkdir()
            (place / run.path.name).symlink_to(run.path.resolve())
    return folder


def _check_plugin() -> None:
    """Raise CaptureError, saying what is missing or broken and how to mend it, where the plugin cannot be loaded."""
    command = [sys.executable, "-W", "ignore", "-c", _CHECK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        hint = next((mend for sign, mend in _BROKEN if sign in done.stderr), _INSTALL)
        raise CaptureError(f"TensorBoard with the profiler plugin cannot be started: {reason}", hint=hint)


def _relay(server: subprocess.Popen[str]) -> None:
    """Say the address once TensorBoard has one; raises CaptureError with its words where it ends by itself."""
    assert server.stderr is not None
    said: list[str] = []
    for line in server.stderr:
        said.append(line.strip())
        if (address := _ADDRESS.search(line)) and "Press CTRL+C" in line:
            click.echo(f"TensorBoard: {address[0]}#pytorch_profiler  (Ctrl-C ends it)")
    if server.wait():
        words = next((text for text in reversed(said) if text), "no reason given")
        hint = "Choose another --port." if "in use" in words else ""
        raise CaptureError(f"TensorBoard ended: {words}", hint=hint or f"In {os.fspath(sys.executable)}.")
