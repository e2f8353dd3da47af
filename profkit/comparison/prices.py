"""Which price counts for which run. Opens no file itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from profkit.comparison.records.cost import Price
from profkit.errors import UsageError
from profkit.shortening import listed, shorten

Prices = Mapping[str, Price]
"""Prices by name: the label of a run, or the instance type of its machine."""


class Machine(msgspec.Struct, frozen=True):
    """The machine of the runs of one label; ``recorded`` is the price in their manifests (US dollars per hour)."""

    label: str
    instance_type: str | None = None
    recorded: float | None = None

    @property
    def named(self) -> str:
        """Label and instance type, or that the latter is not known."""
        where = "an unknown machine" if self.instance_type is None else self.instance_type
        return self.label if self.label == self.instance_type else f"{self.label} (on {where})"


def choose_prices(machines: Sequence[Machine], given: Prices, from_file: Prices, known: Prices) -> dict[str, Price]:
    """Return the price of every run by its label.

    The user's prices come first (``given`` by ``--price``, then ``from_file``), each by label before by instance type;
    then what the manifest records, then the table of profkit (``known``, by instance type only). Raises UsageError if
    a name of ``given`` matches no run, a name means two different things, or a run has no price.
    """
    _require_one_meaning(machines, [*given, *from_file])
    _require_match(machines, given)
    found: dict[str, Price] = {}
    for machine in machines:
        price = _price_of(machine, given, from_file, known)
        if price is not None:
            found[machine.label] = price
    missing = [machine for machine in machines if machine.label not in found]
    if missing:
        names = dict.fromkeys(machine.instance_type or machine.label for machine in missing)
        options = " ".join(f"--price {_quoted(name)}=USD" for name in list(names)[:4])
        raise UsageError(
            f"no price is known for {listed([machine.named for machine in missing])}",
            hint=f"Add {options}, in US dollars per hour, or name them in a file (--prices).",
        )
    return found


def _price_of(machine: Machine, given: Prices, from_file: Prices, known: Prices) -> Price | None:
    names = [machine.label, *([machine.instance_type] if machine.instance_type is not None else [])]
    for prices in (given, from_file):
        for name in names:
            if name in prices:
                return prices[name]
    if machine.recorded is not None:
        return Price(usd_per_hour=machine.recorded, origin="manifest", source="the run's profkit.json")
    return known.get(machine.instance_type) if machine.instance_type is not None else None


def _require_one_meaning(machines: Sequence[Machine], names: Sequence[str]) -> None:
    """Raise UsageError if a name is the label of some runs and the instance type of others."""
    for name in names:
        labelled = {machine.label for machine in machines if machine.label == name}
        of_type = {machine.label for machine in machines if machine.instance_type == name}
        if labelled and of_type and labelled != of_type:
            others = listed(sorted(of_type - labelled) or sorted(of_type))
            raise UsageError(
                f"{shorten(name, 100)!r} is the label of a run and the instance type of others ({others})",
                hint="So its price could mean either. Capture that run with another --label, or give the prices by "
                "the labels of the others and leave this name out.",
            )


def _require_match(machines: Sequence[Machine], given: Prices) -> None:
    labels = dict.fromkeys(machine.label for machine in machines)
    types = dict.fromkeys(machine.instance_type for machine in machines if machine.instance_type is not None)
    for name in given:
        if name not in labels and name not in types:
            kinds = f"Labels: {listed(list(labels))}. Instance types: {listed(list(types)) or 'none is known'}."
            raise UsageError(f"--price {shorten(name, 100)}: no run has this label or instance type", hint=kinds)


def _quoted(name: str) -> str:
    """Return a name as it is typed into a shell."""
    from shlex import quote

    return quote(shorten(name, 100))
