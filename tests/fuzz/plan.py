"""Which mutations a campaign consists of. Nothing here imports profkit: the process that uses it stays small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# the kinds of mutations, and how many of a hundred each gets
SHARES = {
    "traces": 31,
    "traces-same": 14,
    "logs": 12,
    "logs-same": 4,
    "manifests": 10,
    "saved": 16,
    "saved-same": 3,
    "outputs": 4,
    "cache": 3,
    "costs": 3,
}
ONE_IN = 20  # mutations whose commands also run through the real command line

Task = tuple[str, int]
"""A kind and a number: with the seed they determine the mutation."""


def tasks(count: int, kinds: Sequence[str]) -> Iterator[Task]:
    """Yield ``count`` mutations of the given kinds (none: of all), in proportion to their shares from the start on."""
    shares = {kind: SHARES[kind] for kind in kinds or SHARES}
    done = dict.fromkeys(shares, 0)
    for _ in range(count):
        kind = min(shares, key=lambda kind: (done[kind] + 0.5) / shares[kind])
        yield kind, done[kind]
        done[kind] += 1


def through_the_command_line(number: int) -> bool:
    """Whether the commands of a mutation run once more through the real command line."""
    return number % ONE_IN == 0
