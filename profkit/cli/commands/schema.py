"""``profkit schema``: the JSON Schema of a document."""

from __future__ import annotations

import json

import click

from profkit.report.formats.json import DOCUMENTS, schema


@click.command("schema", epilog="\b\nExample:\n  profkit schema diff > diff.schema.json")
@click.argument("name", type=click.Choice(list(DOCUMENTS)))
def command(name: str) -> None:
    """Print the JSON Schema of the document NAME, as --format json writes it (run: profkit.json)."""
    click.echo(json.dumps(schema(name), indent=2))
