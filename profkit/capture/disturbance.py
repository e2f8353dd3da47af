"""Was a round disturbed by other work on the machine? Decided by the load alone, never by the round's own times.

A rule that looked at the times would keep the rounds that agree, and make every interval too narrow.
"""

from __future__ import annotations

from profkit.runs.manifest import Load

STEAL_SHARE = 0.05  # of the CPU time taken by the hypervisor: a forward gets slower by about as much
OTHER_SHARE = 0.05  # of the CPU time used by other processes
IDLE_SHARE = 0.10  # of the CPU time unused: with more, other processes found processors of their own


def find_disturbance(load: Load) -> str | None:
    """Return in words what disturbed the round with this load; None if nothing did, or the load is not known."""
    if load.steal_share is not None and load.steal_share > STEAL_SHARE:
        return f"the hypervisor took {100 * load.steal_share:.0f}% of the CPU time"
    if load.other_share is None or load.idle_share is None:
        return None
    if load.other_share > OTHER_SHARE and load.idle_share < IDLE_SHARE:
        return f"other processes used {100 * load.other_share:.0f}% of the CPU time"
    return None
