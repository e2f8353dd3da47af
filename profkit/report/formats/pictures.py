"""Pictures as files: SVG as it is drawn, and PNG made of it by resvg, which is loaded for that alone."""

from __future__ import annotations

from profkit.errors import OutputError
from profkit.report.escape import markup
from profkit.report.page import Picture
from profkit.report.palette import DARK, LIGHT, fixed_style, parts_style, variables

WIDTH = 900  # pixels, twice as many in a PNG: fits a page of text
MARGIN = 12
TITLE = 34  # pixels above the figure
NOTE = 22  # pixels of a line below it
_LETTERS = 125  # of a line of a note
SCALE = 2


def render_picture(picture: Picture, form: str) -> bytes:
    """Draw a picture as ``png`` or ``svg``; raises OutputError if the PNG cannot be made."""
    if form == "svg":
        return render_svg(picture).encode("utf-8", "replace")
    import resvg_py

    try:
        image: bytes = resvg_py.svg_to_bytes(svg_string=render_svg(picture, fixed=True), zoom=SCALE)
    except ValueError as error:  # resvg's word for everything that it does not read
        raise OutputError(f"the PNG could not be drawn: {error}", hint="Write an SVG instead.") from None
    return image


def render_svg(picture: Picture, *, fixed: bool = False) -> str:
    """Return a picture with its title and note as an SVG document that needs nothing else.

    It has the light colours, and the dark ones if its viewer prefers them; if ``fixed``, the light ones only, without
    variables.
    """
    drawing = picture.figure.draw(WIDTH - 2 * MARGIN)
    width = drawing.width + 2 * MARGIN
    lines = _lines(picture.note)
    height = drawing.height + TITLE + NOTE * len(lines) + 2 * MARGIN
    below = TITLE + drawing.height + MARGIN + 16
    notes = "".join(
        f'<text class="s" x="{MARGIN}" y="{below + NOTE * row}">{markup(line)}</text>' for row, line in enumerate(lines)
    )
    name = markup(f"{picture.title}. {picture.figure.description}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pk" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img"><title>{name}</title><style>{_style(fixed)}</style>'
        f'<rect class="paper" width="{width}" height="{height}"/>'
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 16}">{markup(picture.title)}</text>'
        f'<g transform="translate({MARGIN} {TITLE + 6})">{drawing.marks}</g>{notes}</svg>\n'
    )


def _style(fixed: bool) -> str:
    own = ".pk .paper { fill: var(--paper); } .pk .title { font-size: 16px; font-weight: 600; }\n"
    if fixed:
        return fixed_style(LIGHT, own)
    dark = f"@media (prefers-color-scheme: dark) {{ .pk {{ {variables(DARK)} }} }}"
    return f"\n.pk {{ {variables(LIGHT)} }}\n{dark}\n{parts_style()}{own}"


def _lines(note: str) -> list[str]:
    """Break a note into lines."""
    lines: list[str] = []
    for word in note.split():
        if lines and len(lines[-1]) + 1 + len(word) <= _LETTERS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
