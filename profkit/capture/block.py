"""One block: a fresh worker per configuration. The workers take turns, so that the machine is the same for all.

A turn runs two forwards or more, and the first ones do not count: they bring back into the caches what the turns of the
others displaced, and outlast the threads of the worker before. The order in which workers start changes from round to
round, and that of their turns from turn to turn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from profkit import units
from profkit.capture.memory import available_bytes
from profkit.capture.plan import order_of_round
from profkit.capture.process import Worker
from profkit.capture.rounds import Place, take_round
from profkit.capture.stopping import Costs
from profkit.capture.task import Listener, Task, start_worker

TURN_NS = 60_000_000  # of the forwards of a turn that count: short for drift, long beside those that do not count
FEWEST_KEPT = 2  # of them, however slow: those that do not count then take a third of the turn, not half
FEWEST_TURNS = 5  # per worker and block, however fast its forwards are
# of the forwards at the start of a turn that do not count, one at least: OpenMP threads of the worker before spin on
# for some 15 ms, on the processors of this one (libgomp's default spin count). With this, the first forward that counts
# takes as long as the ones after it: within 1% for ResNet-50, 1.13 to 2.15
SETTLE_NS = 20_000_000
MEMORY_RESERVE = 1.2  # times the memory of the largest worker must be available for another one


class TurnsNotPossibleError(Exception):
    """The workers of a block cannot take turns; the message says why."""


@dataclass(slots=True)
class _Member:
    """A configuration in a block, with its worker and the forwards of each turn that count, or do not."""

    task: Task
    worker: Worker
    started: str
    kept: int = 1
    skipped: int = 1


def run_block(
    tasks: Sequence[Task], session: str, block: int, timed: int, listener: Listener, first_place: int = 0
) -> Costs:
    """Capture a round of every task by turns, with at least ``timed`` latency forwards; file what is complete.

    A worker that fails costs its own round only. ``first_place`` is the place of the first task in the block. Raises
    TurnsNotPossibleError, with nothing measured, if several tasks cannot be alive at once.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        members = _start(_in_order(tasks), stack, listener)
        live = [m for m in members if m.worker.is_ready()]
        if len(members) > 1 and any(m.worker.last("ready")["on_device"] for m in live):
            raise TurnsNotPossibleError("the model runs on a device, which several processes cannot share evenly")
        live = [m for m in live if m.worker.order("warm_up")]
        warm = time.monotonic()
        live = _time(live, timed)
        timed_until = time.monotonic()
        live = _profile(live)
        for member in live:
            member.worker.finish()
        for order, member in enumerate(members, first_place):
            place = Place(session, block, order, member.started)
            take_round(member.task, member.worker.outcome(), place, listener)
    return Costs(time.monotonic() - began, timed_until - warm, timed)


def _in_order(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks in the order in which their workers start, so that none is always the first.

    It changes with their rounds, not with the blocks: of two groups that alternate, one would have all even blocks.
    While it is not known how much memory they need, it is the order given, as the last ones may have to wait.
    """
    if any(task.peak_memory_bytes is None for task in tasks):
        return list(tasks)
    done = min(len(task.manifest.rounds) for task in tasks)  # of the first one are more, if it is in several groups
    return [tasks[position] for position in order_of_round(done, len(tasks))]


def _start(tasks: Sequence[Task], stack: ExitStack, listener: Listener) -> list[_Member]:
    """Start the workers, as many as memory allows. Each imports torch while the one before prepares its model.

    Models that are prepared at the same time, each by as many threads as there are processors, wait for each other's
    threads: two of ResNet-50 took twice as long at once as one after the other (6.5 s and 3.4 s on 2 processors).
    Raises TurnsNotPossibleError if there is memory for one only.
    """
    members = [_start_member(tasks[0], stack, listener)]
    for task in tasks[1:]:
        before = members[-1].worker
        following = _start_member(task, stack, listener)
        before.prepare()  # waits; what a failure costs is decided later
        if task.peak_memory_bytes is None and (lacking := _lacking_memory(before)):
            if len(members) == 1:
                raise TurnsNotPossibleError(lacking)
            following.worker.end()
            break
        members.append(following)
    else:  # the last one, unless it was prepared before memory was looked at
        members[-1].worker.prepare()
    return members


def _start_member(task: Task, stack: ExitStack, listener: Listener) -> _Member:
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return _Member(task, stack.enter_context(start_worker(task, listener)), started)


def _lacking_memory(before: Worker) -> str:
    """Return in words why there is no memory for another worker as large as the one ``before``, or nothing."""
    if not before.is_ready():
        return ""
    used, available = before.last("ready")["peak_memory_bytes"], available_bytes()
    if used is None or available is None or available >= MEMORY_RESERVE * used:
        return ""
    return f"a worker uses {units.size(used)}, and {units.size(available)} are available for another one"


def _time(members: Sequence[_Member], timed: int) -> list[_Member]:
    """Time at least ``timed`` forwards of every worker by turns; return those that did not fail."""
    if len(members) == 1:
        return [m for m in members if m.worker.order("time", count=timed, skip=0, total=timed)]
    turns = _plan_turns(members, timed)
    return _take_turns(members, turns, lambda m: {"stage": "time", "total": turns * m.kept})


def _profile(members: Sequence[_Member]) -> list[_Member]:
    """Profile the forwards of every worker by turns; return those that did not fail.

    In one turn each if Python's stack is recorded: that of the forwards that do not count would be in the trace.
    """
    if not members:
        return []
    settings = [member.task.manifest.settings for member in members]
    steps = settings[0].steps
    is_one_turn = len(members) == 1 or any(of_member.with_stack for of_member in settings)
    turns = 1 if is_one_turn else _plan_turns(members, steps)
    for member in members:
        member.kept = math.ceil(steps / turns)  # so that all end in the same turn
        member.skipped = 0 if is_one_turn else member.skipped
    return _take_turns(members, turns, lambda _: {"stage": "profile"})


def _plan_turns(members: Sequence[_Member], wanted: int) -> int:
    """Set how many forwards of a turn count for each worker, and how many do not; return the number of turns."""
    most = math.ceil(wanted / FEWEST_TURNS)
    for member in members:
        forward_ns = max(1, member.worker.last("turn")["forward_ns"])
        member.kept = min(most, max(FEWEST_KEPT, math.ceil(TURN_NS / forward_ns)))
        member.skipped = max(1, math.ceil(SETTLE_NS / forward_ns))
    return max((math.ceil(wanted / m.kept) for m in members), default=0)


def _take_turns(members: Sequence[_Member], turns: int, order: Callable[[_Member], dict[str, Any]]) -> list[_Member]:
    """Give every worker its ``order``, ``turns`` times; return those that did not fail."""
    live = list(members)
    for turn in range(turns):
        for position in order_of_round(turn, len(members)):
            member = members[position]
            if member in live and not member.worker.order(count=member.kept, skip=member.skipped, **order(member)):
                live.remove(member)
    return live
