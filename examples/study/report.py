"""Writes the report: a page, and a Markdown file with its pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from examples.study import published
from examples.study.forwards import figure_6, figure_7, image_model
from examples.study.machines import figures_2_and_3
from examples.study.parts import Figure, strong, table
from examples.study.plan import Plan
from examples.study.sequel import sequel
from examples.study.speedups import figure_1
from examples.study.stack import figure_4, figure_5
from examples.study.tutorial import tutorial
from profkit import units
from profkit.files import write_whole
from profkit.report.document import Document, Paragraph, Table
from profkit.report.formats.html.render import render_html
from profkit.report.formats.markdown import render_markdown
from profkit.report.formats.pictures import render_svg
from profkit.report.page import Block, Page, Picture, Section
from profkit.runs.store import find_runs

TITLE = "The study, repeated"
PICTURES = "pictures"


def figures(plan: Plan, logs: Path, machines: Sequence[Path]) -> list[Figure]:
    """Return the study's figures in its order, then the sequel and the tutorial."""
    pair = image_model(plan, logs)
    return [
        figure_1(plan, logs),
        figures_2_and_3(plan, logs, machines),
        figure_4(logs),
        figure_5(plan, logs),
        figure_6(pair),
        figure_7(pair),
        sequel(logs),
        tutorial(plan, logs),
    ]


def write_report(plan: Plan, logs: Path, folder: Path, machines: Sequence[Path]) -> list[Path]:
    """Write ``report.html``, ``report.md`` and its pictures to ``folder``; return their paths."""
    found = figures(plan, logs, machines)
    head = [Paragraph(_setting(plan, logs)), strong("Published figures are of other machines; compare directions.")]
    rows = [row for figure in found for row in figure.rows]
    summary = table("Figure by figure", ("figure", "published", "measured here", "why they differ"), rows, words=4)
    sections = [Section("Published and measured", [summary]), *(Section(f.title, f.blocks) for f in found)]
    sections.append(Section("What to know before relying on the figures", _warnings(found)))
    sources = Section("Sources", [Paragraph(text) for text in (published.STUDY, published.SEQUEL, published.TUTORIAL)])
    sections.append(sources)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURES).mkdir(exist_ok=True)
    page = Page(TITLE, answers=head, sections=sections)
    texts = {folder / "report.html": render_html(page)}
    texts[folder / "report.md"] = _markdown(sections, head, folder, texts)
    for path, text in texts.items():
        write_whole(path, text.encode())
    return list(texts)


def _warnings(found: Sequence[Figure]) -> list[Paragraph]:
    texts = dict.fromkeys(text for figure in found for text in figure.warnings)
    return [Paragraph(text) for text in texts] or [Paragraph("No comparison has a warning.")]


def _telling(extensions: Sequence[str]) -> list[str]:
    """Return the extensions of the instruction set that BF16 and wide vectors need."""
    return [name for name in extensions if "bf16" in name or name in ("avx2", "avx512f", "sve", "i8mm")]


def _setting(plan: Plan, logs: Path) -> str:
    """Say on which machine it was measured, and how much."""
    runs = [run for run in find_runs(logs) if run.manifest is not None]
    hosts = sorted(
        {
            f"{m.host.cpu} ({', '.join(_telling(m.host.isa))}), {m.host.cores} cores"
            for run in runs
            if (m := run.manifest) is not None
        }
    )
    counts = sorted({len(m.rounds) for run in runs if (m := run.manifest) is not None})
    rounds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    days = sorted({r.started[:10] for run in runs if (m := run.manifest) is not None for r in m.rounds})
    return (
        f"Measured on {'; '.join(hosts)}, {' to '.join(dict.fromkeys((days[0], days[-1])))}: {len(runs)} runs, "
        f"{rounds} rounds (processes) each, captured by turns. PyTorch {', '.join(plan.torches)}."
    )


def _markdown(sections: Sequence[Section], head: Sequence[Paragraph], folder: Path, texts: dict[Path, str]) -> str:
    """Return the report as Markdown; its pictures are added to ``texts``."""
    parts = [render_markdown(Document(TITLE, head)).removeprefix("#")]
    for section in sections:
        text = [f"## {section.title}\n"]
        for block in section.blocks:
            text.append(_block(block, folder, texts))
        parts.append("\n".join(text))
    return "\n".join(parts)


def _block(block: Block, folder: Path, texts: dict[Path, str]) -> str:
    if isinstance(block, Picture):
        path = folder / PICTURES / f"{len(texts):02}.svg"
        texts[path] = render_svg(block)
        return f"![{block.title}]({PICTURES}/{path.name})\n"
    assert isinstance(block, Table | Paragraph)
    return render_markdown(Document("", [block])).partition("\n\n")[2]


def sizes(paths: Sequence[Path]) -> str:
    """Return the files' sizes in words."""
    return f"{len(paths)} files, {units.file_size(sum(path.stat().st_size for path in paths))}"
