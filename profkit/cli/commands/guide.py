"""``profkit guide``: the guides that come with profkit, in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import profkit

FOLDER = Path(profkit.__file__).with_name("guides")
WIDTH = 100  # columns at most: longer lines of text are hard to read
EPILOG = """\b
Examples:
  profkit guide
  profkit guide results
  profkit guide gate > gate.md     (Markdown, if the output is not a terminal)
"""


def topics() -> dict[str, str]:
    """Return the name of each guide and its title, by name."""
    return {path.stem: _title(path) for path in sorted(FOLDER.glob("*.md"))}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()


@click.command("guide", epilog=EPILOG)
@click.argument("topic", required=False, type=click.Choice([path.stem for path in sorted(FOLDER.glob("*.md"))]))
def command(topic: str | None) -> None:
    """Show the guide on TOPIC; without one, list the topics."""
    if topic is None:
        width = max(map(len, topics()))
        for name, title in topics().items():
            click.echo(f"{name:<{width}}  {title}")
        return
    text = (FOLDER / f"{topic}.md").read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text, hyperlinks=False), width=min(console.width, WIDTH))
