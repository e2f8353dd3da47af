"""``profkit schema``: print the JSON Schema of a result."""

from __future__ import annotations

import json

import click

from profkit.report.kinds import MODULES


@click.command("schema", epilog="\b\nExample:\n  profkit schema diff > diff.schema.json")
@click.argument("name", type=click.Choice(list(MODULES)))
def command(name: str) -> None:
    """Print the JSON Schema of the result NAME.

    It describes the output of --format json; the schema "run" describes profkit.json."""
    from profkit.report.saved import schema

    click.echo(json.dumps(schema(name), indent=2))
