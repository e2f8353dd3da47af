"""What makes and runs a mutation of each kind."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz import arrays, cache_entries, costs, logs, manifests, saved, traces
from tests.fuzz.trial import Trial

KINDS: dict[str, Callable[[Trial], None]] = {
    "traces": traces.mutated,
    "traces-same": traces.same,
    "logs": logs.mutated,
    "logs-same": logs.same,
    "manifests": manifests.mutated,
    "saved": saved.mutated,
    "saved-same": saved.same,
    "outputs": arrays.mutated,
    "cache": cache_entries.mutated,
    "costs": costs.mutated,
}
