"""In what two configurations differ: what is being compared, and what should not differ but does."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from profkit.compare.records.diff import Difference
from profkit.runs import Manifest

# what one compares on purpose, and what follows from it
EXPECTED = (
    "torch.version",
    "torch.wheel",
    "torch.onednn",
    "torch.cpu_capability",
    "settings.mode",
    "settings.fpmath",
)
# variables that profkit sets itself, from the settings
DERIVED = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "LRU_CACHE_CAPACITY",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)
UNEXPECTED = (
    "torch.threads",
    "settings.lru_cache_capacity",
    "settings.threads",
    "settings.with_stack",
    "settings.record_shapes",
    "settings.warmup",
    "settings.steps",
    "settings.env",
    "workload.source",
    "workload.batch",
    "workload.inputs",
    "workload.weights",
    "workload.weights_sha256",
    "python.version",
    "host.name",
    "host.cpu",
    "host.isa",
    "host.cores",
    "host.sockets",
    "host.memory_bytes",
    "host.os",
    "host.kernel",
    "host.governor",
    "host.instance_type",
)


def find_differences(pairs: Iterable[tuple[str, Manifest | None, Manifest | None]]) -> list[Difference]:
    """Return the fields in which the manifests of each (workload, baseline, candidate) differ, expected ones first.

    A difference that every workload has stands once, without a workload's name.
    """
    found: dict[Difference, list[str]] = {}
    known = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
    for name, baseline, candidate in known:
        for field in EXPECTED + UNEXPECTED:
            before, after = _text(baseline, field), _text(candidate, field)
            if before != after:
                entry = Difference(field=field, baseline=before, candidate=after, expected=field in EXPECTED)
                found.setdefault(entry, []).append(name)
    result = []
    for entry, names in found.items():
        if len(names) == len(known):
            result.append(entry)
        else:
            result += [msgspec.structs.replace(entry, workload=name) for name in names]
    order = {field: position for position, field in enumerate(EXPECTED + UNEXPECTED)}
    return sorted(result, key=lambda d: (order[d.field], d.workload or ""))


def _text(manifest: Manifest, field: str) -> str | None:
    value: object = manifest
    for name in field.split("."):
        value = getattr(value, name, None)
    if value is None:
        return None
    if field == "workload.inputs":
        return ", ".join(f"{i.dtype}{i.shape}" for i in manifest.workload.inputs)
    if isinstance(value, dict):  # those that stand for a field above are no difference of their own
        return " ".join(f"{k}={v}" for k, v in sorted(value.items()) if k not in DERIVED) or None
    return " ".join(str(v) for v in value) if isinstance(value, list) else str(value)
