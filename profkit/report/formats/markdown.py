"""Documents as GitHub-flavoured Markdown."""

from __future__ import annotations

from profkit.report.document import Document, Paragraph, Table
from profkit.report.escape import markdown


def render_markdown(document: Document) -> str:
    """Render ``document``; text from traces is escaped."""
    parts = [f"## {markdown(document.title)}"]
    for block in document.blocks:
        if isinstance(block, Paragraph):
            parts.append(markdown(block.text))
        else:
            parts.append(_table(block))
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [f"**{markdown(table.title)}**"]
    if table.rows:
        shown = [place for place, column in enumerate(table.columns) if not column.drawing]
        header = [markdown(table.columns[place].title) for place in shown]
        rule = ["---:" if table.columns[place].right else ":---" for place in shown]
        lines.append("")
        for row in (header, rule, *([markdown(cells[place].text) for place in shown] for cells in table.rows)):
            lines.append("| " + " | ".join(row) + " |")
    for line in table.note.splitlines():
        lines += ["", f"_{markdown(line)}_"]
    return "\n".join(lines)
