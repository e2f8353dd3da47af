"""Captures the rounds of one workload's configurations, block by block, until there are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from profkit import units
from profkit.capture.block import MEMORY_RESERVE, TurnsNotPossibleError, run_block
from profkit.capture.memory import available_bytes
from profkit.capture.plan import order_of_round
from profkit.capture.results import describe_block
from profkit.capture.stopping import Costs, Stopping
from profkit.capture.task import Listener, Task

MOST_REPEATED = 5  # blocks that are measured again because other work disturbed them; at most half of those asked for


@dataclass(slots=True)
class Blocks:
    """The blocks of one workload in one session. ``tasks`` are its configurations, the first one the baseline.

    ``sequential``: the configurations run one after the other instead of by turns. ``next_block`` is the number of the
    next block.
    """

    tasks: Sequence[Task]
    session: str
    listener: Listener
    stopping: Stopping
    sequential: bool
    next_block: int
    _repeated: int = field(default=0, init=False)
    _groups: int = field(default=1, init=False)

    def run(self) -> None:
        """Capture blocks until the stopping rule has enough."""
        while due := self.stopping.due(self.tasks):
            disturbed = False
            for group in self._grouped(due):
                disturbed |= self._capture(group)
            rounds = self.stopping.settings.rounds
            if disturbed and rounds is not None and self._repeated < min(MOST_REPEATED, rounds // 2):
                self._repeated += 1
                for task in due:
                    task.wanted += 1

    def _grouped(self, due: Sequence[Task]) -> list[list[Task]]:
        """Return the configurations that take turns with each other; the baseline is in each group."""
        first = self.tasks[0]
        others = [task for task in due if task is not first]
        if self.sequential or not others or first.failure:
            return [list(due)]
        size = self._fitting(due)
        if size < 2:
            return [list(due)]
        groups = [[first, *others[start : start + size - 1]] for start in range(0, len(others), size - 1)]
        if len(groups) > 1 and len(groups) != self._groups:
            self.listener.message(
                f"{first.configuration.workload.name}: memory for {size} configurations at a time, so they take turns "
                f"in {len(groups)} groups, each with {first.configuration.label}"
            )
        self._groups = len(groups)
        return groups

    def _fitting(self, due: Sequence[Task]) -> int:
        """Return how many workers can be alive at once, as far as is known; if only one, go on sequentially.

        Before any worker has told how much memory it needs, :func:`run_block` looks after each one that it starts.
        """
        available = available_bytes()
        known = [task.peak_memory_bytes for task in due if task.peak_memory_bytes is not None]
        if available is None or not known:
            return len(due)
        fitting = int(available / (MEMORY_RESERVE * max(known)))
        if fitting < 2:
            self._give_up_turns(f"a worker uses {units.size(max(known))}, and {units.size(available)} are available")
        return fitting

    def _give_up_turns(self, reason: str) -> None:
        self.sequential = True
        name = self.tasks[0].configuration.workload.name
        self.listener.message(f"{name}: configurations run one after the other instead of by turns: {reason}")

    def _capture(self, group: Sequence[Task]) -> bool:
        """Capture one block; return whether other work disturbed it."""
        before = [len(task.manifest.rounds) for task in group]
        name = self._name()
        self.listener.started(name, self.stopping.time_left(self.tasks))
        timed = self.stopping.forwards(self.tasks)
        if not self.sequential:
            try:
                costs = run_block(group, self.session, self.next_block, timed, self.listener)
                self.stopping.costs.append(costs)
            except TurnsNotPossibleError as reason:
                self._give_up_turns(str(reason))
        if self.sequential:
            parts = []
            for place, position in enumerate(order_of_round(self.next_block, len(group))):
                parts.append(run_block([group[position]], self.session, self.next_block, timed, self.listener, place))
            self.stopping.costs.append(Costs(sum(p.whole_s for p in parts), sum(p.latency_s for p in parts), timed))
        self.next_block += 1
        captured = [task for task, count in zip(group, before, strict=True) if len(task.manifest.rounds) > count]
        first = self.tasks[0]
        if first in group and first not in captured and not first.failure:
            for task in group:  # its round is due again, and theirs have no partner
                task.wanted += task is not first
        if captured:
            waits_for = self.stopping.waits_for(self.tasks)
            self.listener.result(describe_block(name, first, captured) + (f"; {waits_for}" if waits_for else ""))
        return any(task.manifest.rounds[-1].disturbed for task in captured)

    def _name(self) -> str:
        """Return workload and block, for messages."""
        rounds = max(len(task.manifest.rounds) for task in self.tasks)
        wanted = self.stopping.settings.rounds
        most = max(task.wanted for task in self.tasks)
        return f"{self.tasks[0].configuration.workload.name}, round {rounds + 1}" + (f" of {most}" if wanted else "")
