"""``profkit view``: open runs in TensorBoard, in Perfetto, or as an HTML page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.options import explain_write_errors, read_options, write_whole
from profkit.cli.run_argument import RUN
from profkit.cli.tensorboard import serve_tensorboard
from profkit.errors import UsageError
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
_KEPT_PAGES = 20  # pages in the cache folder; older ones are deleted
_PERFETTO_PORT = 9001  # the only local port that ui.perfetto.dev's security policy allows


@click.command("view", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
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
            serve_tensorboard(runs, found, scratch, host, port)


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
        with PendingComparison.of(runs[0].path, runs[1].path, options=reading, for_page=True) as pending:
            groupings = pending.result()
        return make_page(kind_of("diff"), groupings.pop("name"), beside=groupings)
    try:
        return runs_page(runs, compare_many([run.path for run in runs], options=reading))
    except UsageError as error:  # two runs have the same label, for example: list them without a comparison
        return runs_page(runs, None, str(error))
