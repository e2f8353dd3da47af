"""Where two configurations differ: settings, and the facts about PyTorch, the model and the machine.

One table of :class:`Fact` and the table of settings serve both questions: may rounds be added to a run
(:func:`identity_differences`), and what may explain a difference in speed (:func:`compare_configurations`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from profkit.runs.manifest import Manifest, field_value
from profkit.runs.setting import show
from profkit.runs.settings import SETTINGS, declared


class Fact(msgspec.Struct, frozen=True):
    """A compared field of the manifest that is not a setting.

    ``identity`` and ``expected`` as for a setting. A fact is known once the field ``known_with`` has a value; unknown
    facts do not count as differences of the identity. ``skip_unknown``: without a value, as in manifests of an older
    profkit, it is not compared. ``follows`` names settings: where one of them differs as expected, so does the fact.
    """

    field: str
    identity: bool = False
    expected: bool = False
    known_with: str = ""
    skip_unknown: bool = False
    follows: tuple[str, ...] = ()


SETTINGS_HERE, ENVIRONMENT_HERE = "settings", "environment"
# In order of how much a difference tells; the settings and the environment variables have their places among them.
FACTS: tuple[Fact | str, ...] = (
    Fact("torch.version", identity=True, expected=True, known_with="torch"),
    Fact("torch.wheel", identity=True, expected=True, known_with="torch"),
    Fact("torch.onednn", expected=True),
    Fact("torch.cpu_capability", expected=True),
    Fact("workload.name", identity=True),
    Fact("workload.source", identity=True),
    SETTINGS_HERE,
    Fact("torch.threads", identity=True, known_with="torch", follows=("threads",)),
    ENVIRONMENT_HERE,
    Fact("workload.inputs", identity=True, known_with="workload.inputs", follows=("batch", "sequence_length", "dtype")),
    Fact("workload.weights_sha256", identity=True, known_with="workload.inputs", follows=("seed", "dtype")),
    Fact("python.version", identity=True, known_with="python"),
    Fact("host.cpu", identity=True),
    Fact("host.cores", identity=True),
    Fact("host.name"),
    Fact("host.isa"),
    Fact("host.sockets"),
    Fact("host.memory_bytes"),
    Fact("host.os"),
    Fact("host.kernel"),
    Fact("host.governor", skip_unknown=True),
    Fact("host.turbo", skip_unknown=True),
    Fact("host.numa_nodes", skip_unknown=True),
    Fact("host.huge_pages", skip_unknown=True),
    Fact("host.cpu_quota"),
    Fact("host.instance_type", identity=True, known_with="host.instance_type"),
)
_SHOWN_CHARACTERS = 60  # of a value in a message


class FieldDifference(msgspec.Struct, frozen=True):
    """A field with different values in two manifests; ``before`` and ``after`` are text, None if there is no value.

    ``identity``: runs that differ in it are runs of different configurations. ``expected``: it is what people compare
    on purpose, or follows from that. ``measuring``: it leaves the model's work as it is.
    """

    field: str
    before: str | None
    after: str | None
    identity: bool
    expected: bool = False
    measuring: bool = False


def compare_configurations(a: Manifest, b: Manifest) -> Iterator[FieldDifference]:
    """Yield the fields in which two manifests differ, the most telling first."""
    settings = list(_compare_settings(a, b))
    wanted = {difference.field.removeprefix("settings.") for difference in settings if difference.expected}
    for entry in FACTS:
        if entry == SETTINGS_HERE:
            yield from settings
        elif entry == ENVIRONMENT_HERE:
            yield from _compare_environments(a, b)
        elif isinstance(entry, Fact):
            before, after = _text(field_value(a, entry.field)), _text(field_value(b, entry.field))
            if before != after and not (entry.skip_unknown and None in (before, after)):
                known = not entry.known_with or all(field_value(m, entry.known_with) for m in (a, b))
                expected = entry.expected or not wanted.isdisjoint(entry.follows)
                expected |= entry.field == "python.version" and _chosen_by_profkit(a, b)
                yield FieldDifference(entry.field, before, after, entry.identity and known, expected)


def _chosen_by_profkit(*manifests: Manifest) -> bool:
    """Whether profkit chose each interpreter: then a difference follows from the PyTorch version."""
    return all(m.python is not None and m.python.chosen_by == "profkit" for m in manifests)


def _compare_settings(a: Manifest, b: Manifest) -> Iterator[FieldDifference]:
    known = declared()
    names = [s.name for s in SETTINGS if s.recorded]
    names += sorted(name for name in {*a.settings, *b.settings} if name not in known)
    fell_back = bool(a.fallbacks or b.fallbacks)
    together = bool(_sessions(a) & _sessions(b))
    for name in names:
        before, after = (m.settings.get(name) for m in (a, b))
        if before == after:
            continue
        setting = known.get(name)
        if setting is None:  # of a newer profkit: what it means is unknown
            yield FieldDifference(f"settings.{name}", _text(before), _text(after), identity=True)
            continue
        identity = setting.identity and not (fell_back and setting.after_crash is not None)
        expected = setting.expected or (together and setting.repeatable)
        yield FieldDifference(f"settings.{name}", _text(before), _text(after), identity, expected, setting.measuring)


def own_variables(manifest: Manifest) -> dict[str, str]:
    """Return the user's own environment variables: those that do not follow from a setting."""
    derived = manifest.settings.variables()
    return {name: value for name, value in manifest.environment.items() if name not in derived}


def _compare_environments(a: Manifest, b: Manifest) -> Iterator[FieldDifference]:
    """Compare the variables that the user set; those that follow from a setting are compared as the setting.

    One command gives every configuration the variables that it inherited. Inside one session a difference is
    therefore one that --env asked for.
    """
    own = [own_variables(m) for m in (a, b)]
    asked = bool(_sessions(a) & _sessions(b))
    for name in sorted({*own[0], *own[1]}):
        before, after = own[0].get(name), own[1].get(name)
        if before != after:
            yield FieldDifference(f"environment.{name}", before, after, identity=True, expected=asked)


def _sessions(manifest: Manifest) -> set[str]:
    return {r.session for r in manifest.rounds if r.session is not None}


def identity_differences(existing: Manifest, new: Manifest) -> list[str]:
    """Return, in words, why rounds of ``new`` cannot be added to ``existing``, the most telling first; [] if they can.

    What is not known yet, such as the PyTorch version before the first worker ran, is not compared.
    """
    return [
        f"{d.field} was {_short(d.before)}, is {_short(d.after)}"
        for d in compare_configurations(existing, new)
        if d.identity
    ]


def runs_the_same(a: Manifest, b: Manifest, *, but_for: str) -> bool:
    """Whether both ran the same model in the same way on the same machine, whatever the field ``but_for`` says.

    How much was measured does not matter. What only one of them knows is not compared.
    """
    return not any(d.identity and not d.measuring and d.field != but_for for d in compare_configurations(a, b))


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        shapes = [f"{v.dtype}{v.shape}" if hasattr(v, "dtype") else str(v) for v in value]
        return (", " if any(hasattr(v, "dtype") for v in value) else " ").join(shapes)
    return str(value)


def _short(text: str | None) -> str:
    if text is None:
        return show(None)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
