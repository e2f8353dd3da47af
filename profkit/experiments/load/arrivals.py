"""When the requests of an open loop arrive."""

from __future__ import annotations

import math
import random
import re
from typing import NamedTuple

from profkit.errors import UsageError

SHARES = (0.3, 0.5, 0.7, 0.8, 0.9)
"""The rates of ``--rate auto``, as shares of the throughput of the closed loop. In the simplest queue, M/M/1, the mean
latency is 1 / (1 - share) times the service: 1.4, 2, 3.3, 5 and 10 times (Kleinrock, *Queueing Systems*, volume 1,
1975, section 3.2)."""

EDGE = 0.2
"""What a slice has before and after its window, as a share of it. Requests there are served and do not count: those
before it fill the queue, which is empty at the start, and those after it keep the load on for the last ones."""

MOST_RATE = 1e6  # per second: beyond it the times between arrivals are below what a process can tell apart
_HINT = "Use auto, or requests per second such as 25 or 10,20,40."
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


class Rates(NamedTuple):
    """Arrivals per second, ascending; with ``auto`` () and the throughput of the closed loop decides."""

    per_s: tuple[float, ...]
    auto: bool


def parse_rates(text: str) -> Rates:
    """Parse ``auto`` or ``A,B,C`` requests per second; raises UsageError for anything else."""
    if text.strip().lower() == "auto":
        return Rates((), auto=True)
    words = [word.strip() for word in text.split(",")]
    if not all(_NUMBER.fullmatch(word) and len(word) < 20 and 0 < float(word) <= MOST_RATE for word in words):
        raise UsageError(f"{text!r:.100} is not a rate of requests", where="--rate", hint=_HINT)
    return Rates(tuple(sorted({float(word) for word in words})), auto=False)


def auto_rates(throughput_per_s: float) -> tuple[float, ...]:
    """Return the rates of ``--rate auto`` for a throughput of the closed loop, to two significant digits."""
    return tuple(sorted({float(f"{share * throughput_per_s:.2g}") for share in SHARES}))


def poisson_arrivals(rate_per_s: float, span_ns: int, seed: str) -> list[int]:
    """Return the arrivals (ns, ascending, below ``span_ns``) of a Poisson process; the same for the same ``seed``.

    The times between arrivals are exponential: ``-log(1 - U) / rate`` of uniform ``U`` (Knuth, *The Art of Computer
    Programming*, volume 2, section 3.4.1). Python promises the same ``random()`` for a seed in every version.
    """
    uniform = random.Random(seed).random
    arrivals: list[int] = []
    now_ns = 0.0
    while True:
        now_ns -= math.log(1.0 - uniform()) / rate_per_s * 1e9
        if now_ns >= span_ns:
            return arrivals
        arrivals.append(int(now_ns))
