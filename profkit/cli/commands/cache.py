"""``profkit cache``: the cache of parsed columns of large traces."""

from __future__ import annotations

import click

from profkit import units
from profkit.trace.reading import cache_folder


@click.group("cache", epilog="\b\nExamples:\n  profkit cache info\n  profkit cache clear")
def command() -> None:
    """Show or clear the cache of parsed traces.

    The parsed columns of large traces are kept, up to a size limit, in the user's cache folder or in
    PROFKIT_CACHE_DIR. With --no-cache, the other commands do not read or write the cache.
    """


@command.command("info")
def info() -> None:
    """Show the number of cached traces, their size and their folder."""
    found = cache_folder.entries()
    size = units.size(sum(entry.stat().st_size for entry in found))
    click.echo(
        f"{len(found)} traces, {size} of at most {units.size(cache_folder.BOUND_BYTES)}, in {cache_folder.folder()}"
    )


@command.command("clear")
def clear() -> None:
    """Remove all cached traces."""
    click.echo(f"removed {units.size(cache_folder.clear())}")
