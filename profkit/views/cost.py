"""What inference costs on the machines that the runs were captured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from profkit.comparison.cost import Costed, compare_costs, instance_type_of
from profkit.comparison.prices import Machine, choose_prices
from profkit.comparison.records.cost import CostReport
from profkit.errors import UsageError
from profkit.runs.store import Run
from profkit.stats.judged import MARGIN
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.views.many import by_label, find_in_order, read_walls, usable_runs
from profkit.views.prices import known_prices, parse_prices, read_prices
from profkit.views.recommender import read_recommendations


def view_cost(
    paths: Sequence[Path],
    prices: Sequence[str] = (),
    price_file: Path | None = None,
    recommender: Path | None = None,
    baseline: Path | None = None,
    options: ReadOptions = DEFAULT,
    margin: float = MARGIN,
) -> CostReport:
    """Return what a million inferences cost in the runs at ``paths``, relative to the first or to ``baseline``.

    ``prices`` are texts ``NAME=USD``, ``price_file`` and ``recommender`` files. Raises InputError if a file cannot be
    read, UsageError if a price is missing or wrong, or a label has two runs of one workload on one machine.
    """
    given = parse_prices(prices)
    from_file = read_prices(price_file) if price_file is not None else {}
    published = read_recommendations(recommender) if recommender is not None else []
    found = find_in_order([*([baseline] if baseline else []), *paths])
    runs, warnings = usable_runs(_by_machine(found))
    chosen = choose_prices([_machine(label, group) for label, group in runs.items()], given, from_file, known_prices())
    workloads = dict.fromkeys(name for group in runs.values() for name in group)
    if published and len(workloads) > 1:
        raise UsageError(
            f"the runs have {len(workloads)} workloads, and {recommender} is about one of them",
            hint="Name the runs of that one, such as logs/c5/resnet50 logs/c7g/resnet50.",
        )
    walls, kinds, notes = read_walls(runs, options)
    return compare_costs(Costed(runs, walls, chosen), kinds, published, [*warnings, *notes], margin)


def _by_machine(found: Sequence[Run]) -> dict[str, dict[str, Run]]:
    """Return the runs by label and workload; if one label was captured on several machines, it gets their names.

    The default label is the PyTorch version, so the runs of two machines often have the same.
    """
    types: dict[str, set[str | None]] = {}
    for run in found:
        types.setdefault(run.label, set()).add(instance_type_of(run))

    def label_of(run: Run) -> str:
        machine = instance_type_of(run)
        return run.label if len(types[run.label]) == 1 or machine is None else f"{run.label} on {machine}"

    return by_label(found, label_of)


def _machine(label: str, group: Mapping[str, Run]) -> Machine:
    """Return the machine of the runs of one label; raises UsageError if their manifests record different prices."""
    manifests = [run.manifest for run in group.values() if run.manifest is not None]
    recorded = {m.host.price_per_hour for m in manifests if m.host.price_per_hour}
    if len(recorded) > 1:
        both = " and ".join(f"{usd:g}" for usd in sorted(recorded))
        raise UsageError(
            f"the runs of {label} record different prices per hour: {both}",
            hint="Give their price with --price, or name the runs of one of them.",
        )
    return Machine(label, instance_type_of(next(iter(group.values()))), recorded.pop() if recorded else None)
