"""``profkit``: the group of commands, loaded one by one, and the way in which errors end."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from profkit.cli.signals import SignalReceived, signals_as_interrupts
from profkit.errors import ProfkitError

# Each command lives in profkit/cli/commands/NAME.py; only the one that runs is imported, so that --help is fast.
COMMANDS = {
    "capture": "Capture warm-run profiles: one run per workload, PyTorch and fpmath mode.",
    "diff": "Say what changed between two runs, operator by operator.",
    "compare": "Compare many runs side by side.",
    "ops": "Show the operators of one run or trace.",
    "onednn": "Show which oneDNN primitives ran, and what the cache did.",
    "info": "Say what a run or trace is.",
    "render": "Show a saved result in another format.",
    "export": "Write a run's tables as Parquet files.",
    "repair": "Write a damaged trace anew.",
    "lanes": "Write both forwards as two lanes of one trace.",
    "view": "Open runs in TensorBoard, in Perfetto, or as a page.",
    "machine": "Show what on this machine disturbs measurements.",
    "workloads": "List the models that can be captured by name.",
    "envs": "List or remove the environments made for captures.",
    "cache": "Say what is kept of large traces, or clear it.",
    "schema": "Print the JSON Schema of a document.",
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"profkit.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; an unknown one ends with its nearest name."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


EPILOG = """\b
Examples:
  profkit capture resnet50 --torch 1.13 --torch 2.0
  profkit diff logs/1.13 logs/2.0
  profkit ops logs/2.0/resnet50 --top 10
  profkit view logs

\b
Tab completion (bash; likewise zsh, fish):
  eval "$(_PROFKIT_COMPLETE=bash_source profkit)"

Exit status: 0 done; 1 a gate failed; 2 wrong command line; 3 unreadable input; 4 an environment or a capture
failed; 5 the result cannot be written; 130 interrupted, 143 by SIGTERM, 129 by SIGHUP.
"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profkit", message="profkit %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def group(debug: bool) -> None:
    """Capture warm-run PyTorch profiles per version and fpmath mode, and say which operators got faster."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error ends as one paragraph and its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # --debug is honoured anywhere: people add it to the end of a command that failed
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a pipe that knows no µ gets a question mark, and no traceback
    try:
        with signals_as_interrupts():
            status = group.main(args=words, prog_name="profkit", standalone_mode=False)
    except BaseException as error:
        if debug and isinstance(error, Exception):
            raise
        status = _end(error)
    _leave(status if isinstance(status, int) else 0)


def _end(error: BaseException) -> int:
    """Say in one paragraph what ended the command, and return its exit status; raises what nobody foresaw."""
    if isinstance(error, click.Abort) and isinstance(error.__cause__, SignalReceived):
        error = error.__cause__  # click turns every KeyboardInterrupt into its own Abort
    match error:
        case ProfkitError():
            _complain(str(error))
            return error.exit_status
        case click.ClickException():
            error.show()
            return error.exit_code
        case SignalReceived():
            _complain(f"ended by {signal.Signals(error.number).name}")
            return 128 + error.number
        case KeyboardInterrupt() | click.Abort():
            _complain("interrupted")
            return INTERRUPTED
        case BrokenPipeError():
            # whoever read our output has had enough; keep the interpreter from complaining while it flushes
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case RecursionError():
            _complain("the input is nested too deeply to be read")
            return 3
        case OSError():
            _complain(f"{error.filename or 'standard output'}: cannot be read or written ({error.strerror}).")
            return 3
    raise error


def _leave(status: int) -> NoReturn:
    """End the process; as a program at once: taking large columns apart costs what reading them does."""
    if sys.argv and os.path.basename(sys.argv[0]) in ("profkit", "profkit.exe"):  # noqa: PTH119  # pathlib is slow to load
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _complain(text: str) -> None:
    from profkit.report.escape import plain

    click.echo(f"profkit: {plain(text)}", err=True)
