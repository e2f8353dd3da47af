"""``profkit view``: open runs in TensorBoard."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from profkit.errors import CaptureError
from profkit.runs import Run, find_runs

EPILOG = """\b
Examples:
  profkit view logs
  profkit view logs/1.13 logs/2.0 --port 6007
"""
_ADDRESS = re.compile(r"http://\S+")
_CHECK = "import tensorboard.main, torch_tb_profiler.plugin"
_INSTALL = "pip install 'profkit[tensorboard]' installs TensorBoard and its profiler plugin."


@click.command("view", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def command(runs: Sequence[Path], port: int, host: str) -> None:
    """Start TensorBoard with the profiler plugin on RUNs, and say where; Ctrl-C ends it."""
    found = [run for path in runs for run in find_runs(path)]  # says what is wrong with a path before an empty page
    _check_plugin()
    with tempfile.TemporaryDirectory(prefix="profkit-view-") as scratch:
        logdir = runs[0] if len(runs) == 1 and runs[0].is_dir() else _linked(found, Path(scratch))
        arguments = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
        arguments += ["--host", host, "--port", str(port)]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
            try:
                _relay(server)
            except KeyboardInterrupt:
                click.echo("", err=True)
            finally:
                server.terminate()


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
    """Raise CaptureError, saying which package is missing or broken, where TensorBoard would not show the plugin."""
    command = [sys.executable, "-W", "ignore", "-c", _CHECK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        raise CaptureError(f"TensorBoard with the profiler plugin cannot be started: {reason}", hint=_INSTALL)


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
