"""Documents as a piece of HTML without style or script, for notebooks."""

from __future__ import annotations

from profkit.report.document import Cell, Document, Paragraph, Table
from profkit.report.escape import markup


def render_fragment(document: Document) -> str:
    """Render ``document``; text from traces is escaped."""
    parts = [f"<h4>{markup(document.title)}</h4>"]
    for block in document.blocks:
        if isinstance(block, Paragraph):
            text = markup(block.text)
            parts.append(f"<p><strong>{text}</strong></p>" if block.tone == "strong" else f"<p>{text}</p>")
        else:
            parts.append(_table(block))
    return "\n".join(parts)


def _table(table: Table) -> str:
    shown = [place for place, column in enumerate(table.columns) if not column.drawing]
    sides = ["right" if table.columns[place].right else "left" for place in shown]
    heads = "".join(
        f'<th style="text-align:{side}">{markup(table.columns[place].title)}</th>'
        for place, side in zip(shown, sides, strict=True)
    )
    rows = "".join(f"<tr>{_row([cells[place] for place in shown], sides)}</tr>" for cells in table.rows)
    notes = "".join(f"<p><em>{markup(line)}</em></p>" for line in table.note.splitlines())
    caption = f'<caption style="text-align:left"><strong>{markup(table.title)}</strong></caption>'
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def _row(cells: list[Cell], sides: list[str]) -> str:
    return "".join(
        f'<td style="text-align:{side}">{markup(cell.text)}</td>' for cell, side in zip(cells, sides, strict=True)
    )
