"""TensorBoard with the profiler plugin: starting it on runs, and what keeps it from showing them."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import click

from profkit import children
from profkit.cli.signals import SignalReceived
from profkit.errors import CaptureError
from profkit.runs import Run

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
_CHARTS = "https://www.gstatic.com/charts/loader.js"  # static/index.html of torch-tb-profiler 0.4.3
_CHARTS_TIMEOUT_S = 5.0


def serve_tensorboard(paths: Sequence[Path], runs: Sequence[Run], scratch: Path, host: str, port: int) -> None:
    """Run TensorBoard with its profiler plugin on ``runs`` until Ctrl-C; ``paths`` are what the user named.

    Raises CaptureError if the plugin is not installed, or TensorBoard ends with an error.
    """
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
            threading.Thread(target=_warn_without_charts, daemon=True).start()
    if server.wait():
        message = next((text for text in reversed(lines) if text), "no reason given")
        hint = "Choose another --port." if "in use" in message else ""
        raise CaptureError(f"TensorBoard exited: {message}", hint=hint or f"It ran in {os.fspath(sys.executable)}.")


def _warn_without_charts() -> None:
    """Say so if the library that draws the plugin's charts cannot be fetched from here."""
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(_CHARTS, method="HEAD"), timeout=_CHARTS_TIMEOUT_S):  # uses the proxy of the environment
            pass
    except OSError:
        click.echo(
            f"The profiler plugin loads its charts from {_CHARTS}, which this machine cannot reach. In a browser "
            "here its pages stay empty. profkit view --html shows the runs without the network.",
            err=True,
        )
