"""``profkit envs``: the environments created for captures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from profkit import units
from profkit.capture.environments.environments import Environments
from profkit.errors import UsageError
from profkit.report.escape import plain


def _environments() -> Environments:
    return Environments(lambda text: click.echo(text, err=True))


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(e.name) for e in _environments().list() if e.name.startswith(incomplete)]


@click.group("envs", epilog="\b\nExamples:\n  profkit envs list\n  profkit envs remove torch-2.0.1-python-3.10")
def command() -> None:
    """List or remove the environments created for captures.

    They are in the user's cache folder, or in PROFKIT_CACHE_DIR.
    """


@command.command("list")
def list_() -> None:
    """List the environments with their sizes."""
    environments = _environments()
    found = environments.list()
    for e in found:
        kind = "CPU-only wheels" if e.cpu_only else "default wheels"
        click.echo(plain(f"{e.name:32} {units.size(_size(Path(e.folder))):>9}  {kind}  created {e.made[:10]}"))
    click.echo(f"{len(found)} environments in {environments.folder}", err=True)


@command.command("remove")
@click.argument("names", nargs=-1, shell_complete=_complete)
@click.option("--all", "everything", is_flag=True, help="Remove every environment.")
def remove(names: Sequence[str], everything: bool) -> None:
    """Remove the environments NAMES.

    A capture that needs one of them creates it again.
    """
    environments = _environments()
    chosen = [e.name for e in environments.list()] if everything else names
    if not chosen and not everything:
        raise UsageError("no environment given", hint="Give names (see profkit envs list), or use --all.")
    for name in chosen:
        environments.remove(name)
        click.echo(f"removed {name}")


def _size(folder: Path) -> int:
    return sum(p.lstat().st_blocks * 512 for p in folder.rglob("*") if not p.is_dir())
