"""How verdicts and speedups look in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit import units
from profkit.report.document import Cell, Paragraph, Tone

if TYPE_CHECKING:
    from profkit.comparison.records.diff import FpmathVerdict
    from profkit.comparison.records.parts import Judged

DECIDED = ("faster", "slower")
TONES: dict[str, Tone] = {
    "faster": "good",
    "slower": "bad",
    "same": "dim",
    "inconclusive": "dim",
    "unresolved": "dim",
}
_WORDS = {"same": "~ same", "unresolved": "~ clock"}
LEGEND = {
    "same": "~ same: the whole interval lies within the margin (--margin, 2%).",
    "inconclusive": "inconclusive: the data cannot tell; more rounds may.",
    "unresolved": "~ clock: the change is smaller than the resolution of the trace's clock over that many calls.",
}
INTERVAL_LEGEND = (
    "95%: confidence interval of the speedup. Verdicts control the false discovery rate at 5% over this table."
)


def verdict_cell(verdict: str | None) -> Cell:
    """Return a verdict as it is shown, empty if there is none; ``~`` marks those that need no attention."""
    if verdict is None:
        return Cell("")
    return Cell(_WORDS.get(verdict, verdict), TONES.get(verdict, "plain"))


def cost_cell(verdict: str | None) -> Cell:
    """Return a verdict on a cost, such as memory: it is less or more, not faster or slower."""
    words = {"faster": "less", "slower": "more"}
    if verdict in words:
        return Cell(words[verdict], TONES[verdict])
    return verdict_cell(verdict)


def bounds(found: Judged) -> tuple[float | None, float | None, float | None]:
    """Return a judged speedup and its 95% interval: (speedup, low, high), None for what is unknown."""
    return found.speedup, found.low, found.high


def speedup_text(found: Judged) -> str:
    """Format a speedup with its interval: ``1.39x [1.30, 1.53]``."""
    speedup, low, high = bounds(found)
    return f"{units.ratio(speedup)} {units.interval(low, high)}".rstrip()


def fpmath_paragraph(verdict: FpmathVerdict, who: str = "") -> Paragraph:
    """Say whether an fpmath mode was in effect, with the evidence."""
    tones: dict[str, Tone] = {"in effect": "good", "not accepted": "bad"}
    state = "may or may not be in effect" if verdict.outcome == "unknown" else f"is {verdict.outcome}"
    text = f"{who}{verdict.mode} {state}: {'; '.join(verdict.evidence)}."
    return Paragraph(text, tones.get(verdict.outcome, "plain"))
