"""Which rounds of two runs are compared with each other, as the manifests say, never as the times say.

Rounds of one block were captured by turns, so the drift of the machine is the same for both and cancels in their
difference: they are compared pairwise. A disturbed round is left out if enough others are left. If not, it takes more
rounds for an interval: other work slows one of two workers by any factor, so a few such rounds may agree with each
other and be far from the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from profkit.runs.manifest import Manifest, Round
from profkit.stats.judged import MARGIN, ROUNDS_NEEDED, ROUNDS_NEEDED_DISTURBED, Design

FEWEST_ROUNDS = 3  # undisturbed ones, for the disturbed ones to be left out; at least half of all, too


class Pairing(msgspec.Struct, frozen=True):
    """The rounds to compare: indices into those of each side, in order of capture.

    If ``paired``, the rounds at the same place were captured in one block. ``together``: any were. ``left_out`` counts
    the disturbed rounds of each side that are not compared. ``needed``: how many rounds of each side an interval takes.
    """

    baseline: tuple[int, ...]
    candidate: tuple[int, ...]
    paired: bool = False
    together: bool = False
    left_out: tuple[int, int] = (0, 0)
    needed: tuple[int, int] = (ROUNDS_NEEDED, ROUNDS_NEEDED)

    def design(self, margin: float = MARGIN) -> Design:
        """Return how the rounds are compared."""
        return Design(margin, self.paired, self.needed)


def pair_rounds(baseline: Manifest, candidate: Manifest) -> Pairing:
    """Pair the rounds of two runs block by block, if at least half of the shorter run shares blocks with the other.

    Without that many common blocks, all rounds are compared unpaired.
    """
    sides = (baseline.rounds, candidate.rounds)
    blocks = [{block: index for index, r in enumerate(side) if (block := _block(r)) is not None} for side in sides]
    common = [block for block in blocks[0] if block in blocks[1]]
    if len(common) < 2 or 2 * len(common) < min(map(len, sides)):
        chosen = [_undisturbed(range(len(side)), [bool(r.disturbed) for r in side]) for side in sides]
        left_out = (len(sides[0]) - len(chosen[0]), len(sides[1]) - len(chosen[1]))
        return Pairing(
            chosen[0],
            chosen[1],
            together=bool(common),
            left_out=left_out,
            needed=_needed_by(sides, (chosen[0], chosen[1])),
        )
    pairs = [(blocks[0][block], blocks[1][block]) for block in common]
    disturbed = [bool(sides[0][i].disturbed or sides[1][k].disturbed) for i, k in pairs]
    chosen_pairs = [pairs[place] for place in _undisturbed(range(len(pairs)), disturbed)]
    missing = len(pairs) - len(chosen_pairs)
    compared = (tuple(i for i, _ in chosen_pairs), tuple(k for _, k in chosen_pairs))
    return Pairing(
        *compared,
        paired=True,
        together=True,
        left_out=(missing, missing),
        needed=_needed_by(sides, compared),
    )


def rounds_for_interval(rounds: Iterable[Round]) -> int:
    """Return how many rounds it takes for an interval: more if other work disturbed any of ``rounds``."""
    return ROUNDS_NEEDED_DISTURBED if any(r.disturbed for r in rounds) else ROUNDS_NEEDED


def rounds_in_common(baseline: Manifest, candidate: Manifest) -> tuple[list[int], list[int]]:
    """Return the rounds of two runs that share a block, by index; those at the same place belong together."""
    sides = [{_block(r): index for index, r in enumerate(m.rounds) if _block(r)} for m in (baseline, candidate)]
    common = [block for block in sides[0] if block in sides[1]]
    return [sides[0][block] for block in common], [sides[1][block] for block in common]


def how_apart(baseline: Manifest | None, candidate: Manifest | None, pairing: Pairing) -> str | None:
    """Return in words how two runs were captured apart; None if together, or if that is not known.

    Traces without a manifest, and rounds of an older profkit, do not say how they were captured.
    """
    is_known = all(m is not None and all(r.session is not None for r in m.rounds) for m in (baseline, candidate))
    if not is_known or pairing.paired:
        return None
    return "only partly captured together" if pairing.together else "not captured together"


def _block(round_: Round) -> tuple[str, int] | None:
    return None if round_.session is None or round_.block is None else (round_.session, round_.block)


def _needed_by(
    sides: tuple[Sequence[Round], Sequence[Round]], chosen: tuple[Sequence[int], Sequence[int]]
) -> tuple[int, int]:
    first, second = (
        rounds_for_interval(rounds[i] for i in indices) for rounds, indices in zip(sides, chosen, strict=True)
    )
    return first, second


def _undisturbed(places: range, disturbed: list[bool]) -> tuple[int, ...]:
    """Return the places that were not disturbed; all if too few would be left."""
    quiet = tuple(place for place in places if not disturbed[place])
    return quiet if len(quiet) >= FEWEST_ROUNDS and 2 * len(quiet) >= len(places) else tuple(places)
