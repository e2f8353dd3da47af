"""``profkit view``: open runs in TensorBoard, in Perfetto, or as an HTML page."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit import children
from profkit.cli.options import explain_write_errors, read_options, write_whole
from profkit.cli.signals import SignalReceived
from profkit.errors import CaptureError, UsageError
from profkit.runs import Run, find_runs
from profkit.scratch import scratch_folder

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
_URL = re.compile(r"http://\S+")
_CHECK = "import tensorboard.main, torch_tb_profiler.plugin"
_START = "import sys; sys.argv[0] = 'tensorboard'; from tensorboard.main import run_main; run_main()"
_GRACE_S = 5.0  # for TensorBoard to end after SIGTERM
_INSTALL = "pip install 'profkit[tensorboard]' installs TensorBoard and its profiler plugin."
# known import failures of the plugin: a part of Python's message, and the fix
_KNOWN_FAILURES = (
    ("No module named 'tensorboard'", _INSTALL),
    ("No module named 'torch_tb_profiler'", _INSTALL),
    (
        "pkg_resources",
        "TensorBoard needs pkg_resources, which setuptools 81 removed: pip install 'setuptools<81'.",
    ),
    ("Descriptors cannot", "protobuf is too new for this version of TensorBoard: pip install --upgrade tensorboard."),
    ("numpy.dtype size changed", "pandas is built for another NumPy: pip install --upgrade --force-reinstall pandas."),
    ("pandas", "The plugin does not work with this version of pandas: pip install --upgrade --force-reinstall pandas."),
)
_KEPT_PAGES = 20  # pages in the cache folder; older ones are deleted
_PERFETTO_PORT = 9001  # the only local port that ui.perfetto.dev's security policy allows


@click.command("view", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--perfetto", "how", flag_value="perfetto", help="Use ui.perfetto.dev: one run, or two as lanes.")
@click.option("--html", "how", flag_value="html", help="Write a page: one run, the diff of two, or a list of many.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=6006,
    show_default=True,
    help="TensorBoard port; 0 for any.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that TensorBoard listens on.")
@click.option("--no-browser", is_flag=True, help="Print the URL only.")
@read_options
def command(
    runs: Sequence[Path], how: str | None, port: int, host: str, no_browser: bool, reading: ReadOptions
) -> None:
    """Show RUNs in TensorBoard with the profiler plugin, in Perfetto, or as an HTML page.

    For TensorBoard and Perfetto, a local server runs until Ctrl-C. --html writes a page to the cache folder, prints its
    URL and opens it.
    """
    found = [run for path in runs for run in find_runs(path)]  # reports a wrong path before the viewer starts
    if how == "html":
        _html(found, reading, open_browser=not no_browser)
        return
    with explain_write_errors(), scratch_folder() as scratch:
        if how == "perfetto":
            _perfetto(found, scratch, reading, open_browser=not no_browser)
        else:
            _tensorboard(runs, found, scratch, host, port)


def _tensorboard(paths: Sequence[Path], runs: Sequence[Run], scratch: Path, host: str, port: int) -> None:
    _check_plugin()
    logdir = paths[0] if len(paths) == 1 and paths[0].is_dir() else _link_runs(runs, scratch)
    command = [*_python(_START), "--logdir", str(logdir), "--host", host, "--port", str(port)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    server = children.start(command, **streams, text=True, errors="replace")
    try:
        _print_url(server)
    except SignalReceived:
        raise
    except KeyboardInterrupt:  # the way to stop it
        click.echo("", err=True)
    finally:
        children.end(server, 0.0, _GRACE_S)


def _python(code: str) -> list[str]:
    """Return the command that runs ``code`` under this interpreter: nothing in the current folder is imported."""
    if site.ENABLE_USER_SITE:  # -I leaves it out, and this program may be installed there
        code = f"import site; site.addsitedir(site.getusersitepackages()); {code}"
    return [sys.executable, "-I", "-W", "ignore", "-c", code]


def _perfetto(runs: Sequence[Run], scratch: Path, reading: ReadOptions, *, open_browser: bool) -> None:
    """Serve the trace of one run with its primitives, or the lanes of two runs, to ui.perfetto.dev only."""
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
        raise UsageError(f"--perfetto shows one or two runs, not {len(runs)}", hint="Name one or two runs.")
    serve(target, _PERFETTO_PORT, open_browser=open_browser)


def _html(runs: Sequence[Run], reading: ReadOptions, *, open_browser: bool) -> None:
    """Write a page into the cache folder and open it; it must still exist when the browser has started."""
    from profkit.files import cache_root
    from profkit.report.formats.html.render import render_html

    page = _page(runs, reading)
    labels = "-".join(dict.fromkeys(re.sub(r"[^\w.+-]", "-", run.label) for run in runs))[:60]
    digest = sha256("\n".join(str(run.path.resolve()) for run in runs).encode(errors="replace")).hexdigest()
    target = cache_root() / "pages" / f"{labels}-{digest[:8]}.html"
    with explain_write_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(target.parent.glob("*.html"), key=lambda path: path.stat().st_mtime)[:-_KEPT_PAGES]:
        old.unlink(missing_ok=True)
    write_whole(target, render_html(page).encode("utf-8", "replace"))
    click.echo(target.as_uri())
    if open_browser:
        click.launch(target.as_uri())


def _page(runs: Sequence[Run], reading: ReadOptions) -> Page:
    from profkit.report.kinds import kind_of
    from profkit.report.rendering import make_page
    from profkit.report.runs_page import runs_page
    from profkit.views.diff import PendingComparison
    from profkit.views.many import compare_many
    from profkit.views.operators import view_operators

    if len(runs) == 1:
        return make_page(kind_of("operators"), view_operators(runs[0], per_forward=True, options=reading))
    if len(runs) == 2 and runs[0].workload == runs[1].workload:
        with PendingComparison(runs[0].path, runs[1].path, options=reading, for_page=True) as pending:
            groupings = pending.result()
        return make_page(kind_of("diff"), groupings.pop("name"), beside=groupings)
    try:
        return runs_page(runs, compare_many([run.path for run in runs], options=reading))
    except UsageError as error:  # two runs have the same label, for example: list them without a comparison
        return runs_page(runs, None, str(error))


def _link_runs(runs: Sequence[Run], folder: Path) -> Path:
    """Fill ``folder`` with links to the runs and return it: the plugin shows the runs below one folder only."""
    for number, run in enumerate(runs):
        name = re.sub(r"[^\w.+-]", "-", f"{run.label}-{run.workload}" if run.manifest else run.path.name)
        link = folder / (name if not (folder / name).exists() else f"{name}-{number}")
        if run.path.is_dir():
            link.symlink_to(run.path.resolve(), target_is_directory=True)
        else:
            link.mkdir()
            (link / run.path.name).symlink_to(run.path.resolve())
    return folder


def _check_plugin() -> None:
    """Raise CaptureError with the reason and a fix if the plugin cannot be imported."""
    done = subprocess.run(_python(_CHECK), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        hint = next((fix for text, fix in _KNOWN_FAILURES if text in done.stderr), _INSTALL)
        raise CaptureError(f"cannot start TensorBoard with the profiler plugin: {reason}", hint=hint)


def _print_url(server: subprocess.Popen[str]) -> None:
    """Print the URL once TensorBoard listens; raises CaptureError with its last message if it exits with an error."""
    assert server.stderr is not None
    lines: list[str] = []
    for line in server.stderr:
        lines.append(line.strip())
        if (url := _URL.search(line)) and "Press CTRL+C" in line:
            click.echo(f"TensorBoard: {url[0]}#pytorch_profiler  (Ctrl-C to stop)")
    if server.wait():
        message = next((text for text in reversed(lines) if text), "no reason given")
        hint = "Choose another --port." if "in use" in message else ""
        raise CaptureError(f"TensorBoard exited: {message}", hint=hint or f"It ran in {os.fspath(sys.executable)}.")
