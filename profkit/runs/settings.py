"""The settings of a capture, each declared once.

The options of ``profkit capture``, the manifest's ``settings``, labels, ``capture_command``, the comparison of
configurations and the rows of ``profkit info`` are generated from :data:`SETTINGS`. A new setting is one record here,
and the code of the worker that acts on it (``orders["settings"][name]``).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from profkit.runs.setting import Setting, Value, show

PRECISION = ("until", "until_operators")  # the settings that say how exactly a capture is to know its ratios
# oneDNN's name of each fpmath mode, by the name that users type
FPMATH = {"fp32": "STRICT", "bf16": "BF16", "f16": "F16", "tf32": "TF32", "any": "ANY"}


def _fpmath_variables(value: str) -> Mapping[str, str]:
    # oneDNN 2 (PyTorch 1.13) reads the DNNL name only
    return dict.fromkeys(("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"), FPMATH[value])


def _thread_variables(value: int | None) -> Mapping[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(value)) if value else {}


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="fpmath",
        type=str,
        default="fp32",
        choices=tuple(FPMATH),
        flags=("--fpmath",),
        repeatable=True,
        label_suffix="-{value}",
        expected=True,
        variables=_fpmath_variables,
        help="oneDNN fpmath mode: the precision that float32 operations may use internally.",
    ),
    Setting(
        name="mode",
        type=str,
        default="eager",
        choices=("eager", "script", "trace", "frozen", "compile"),
        flags=("--mode",),
        repeatable=True,
        label_suffix="-{value}",
        expected=True,
        help="How the model runs: as it is, as TorchScript (scripted, or traced), as TorchScript optimized for "
        "inference (frozen), or through torch.compile.",
    ),
    Setting(
        name="freezing",
        type=bool,
        default=False,
        flags=("--freezing/--no-freezing",),
        repeatable=True,
        label_suffix="-freezing",
        only_with=("mode", "compile"),
        expected=True,
        help="With --mode compile: let the compiler treat weights as constants and pack them in advance.",
    ),
    Setting(
        name="dtype",
        type=str,
        default="fp32",
        choices=("fp32", "bf16", "fp16"),
        flags=("--dtype",),
        repeatable=True,
        label_suffix="-dtype-{value}",
        expected=True,
        help="Data type of the model's weights and of its inputs, where they are floating-point numbers.",
    ),
    Setting(
        name="autocast",
        type=bool,
        default=False,
        flags=("--autocast/--no-autocast",),
        repeatable=True,
        label_suffix="-autocast",
        expected=True,
        help="Run the forwards under torch.autocast, in bfloat16.",
    ),
    Setting(
        name="device",
        type=str,
        default="cpu",
        choices=("cpu", "cuda"),
        flags=("--device",),
        repeatable=True,
        label_suffix="-{value}",
        expected=True,
        help="Where the model runs.",
    ),
    Setting(
        name="channels_last",
        type=bool,
        default=False,
        flags=("--channels-last/--no-channels-last",),
        repeatable=True,
        label_suffix="-channels-last",
        expected=True,
        help="Run images and the model's weights in channels-last memory format, as PyTorch recommends for "
        "convolutions.",
    ),
    Setting(
        name="rounds",
        type=int,
        default=None,
        optional=True,
        minimum=1,
        flags=("--rounds",),
        recorded=False,
        default_text="as --until says; 5 for a single configuration",
        help="Rounds per configuration; each round is a fresh process. Rounds that other work disturbed are measured "
        "again, up to half as many.",
    ),
    Setting(
        name="until",
        type=float,
        default=2.0,
        minimum=0,
        flags=("--until",),
        metavar="PERCENT",
        recorded=False,
        help="Capture rounds, 7 or more, until the ratio of each latency to that of the first configuration is known "
        "to this many percent (half the width of its 95% interval).",
    ),
    Setting(
        name="until_operators",
        type=float,
        default=5.0,
        minimum=0,
        flags=("--until-operators",),
        metavar="PERCENT",
        recorded=False,
        help="Capture more rounds, too, until the ratio of the self host time of each operator that takes 1% of the "
        "forward or more is known to this many percent; but not for an operator that would take more than three times "
        "the rounds so far. 0 looks at the latency alone.",
    ),
    Setting(
        name="max_time_s",
        type=float,
        default=300.0,
        minimum=1,
        flags=("--max-time",),
        metavar="SECONDS",
        recorded=False,
        help="Start no more rounds of a workload after this time (seconds), unless --rounds asks for them.",
    ),
    Setting(
        name="sequential",
        type=bool,
        default=False,
        flags=("--sequential",),
        recorded=False,
        help="Run the configurations of a round one after the other, instead of by turns, forward by forward. The "
        "intervals get wider.",
    ),
    Setting(
        name="steps",
        type=int,
        default=10,
        minimum=1,
        flags=("--steps",),
        measuring=True,
        always_in_command=True,
        help="Profiled forwards per round, and before them at least as many timed with the profiler off.",
    ),
    Setting(
        name="warmup",
        type=int,
        default=10,
        minimum=1,
        flags=("--warmup",),
        measuring=True,
        always_in_command=True,
        help="Minimum warm-up iterations; continues up to 3x until latency is stable.",
    ),
    Setting(
        name="threads",
        type=int,
        default=None,
        optional=True,
        minimum=1,
        flags=("--threads",),
        repeatable=True,
        label_suffix="-threads{value}",
        default_text="PyTorch's choice",
        variables=_thread_variables,
        help="Intra-op threads (torch.set_num_threads).",
    ),
    Setting(
        name="cpus",
        type=str,
        default=None,
        optional=True,
        pattern=r"\d+(-\d+)?(,\d+(-\d+)?)*",
        pattern_text="a list of CPU numbers such as 0-3,6",
        flags=("--cpus",),
        metavar="LIST",
        default_text="all",
        help="Run the workers on these CPUs only, such as 0-3,6 (Linux).",
    ),
    Setting(
        name="lru_cache_capacity",
        type=int,
        default=1024,
        minimum=1,  # with 0, PyTorch 1.13 to 2.15 crash in the first convolution
        flags=("--lru-cache-capacity",),
        label_suffix="-lru{value}",
        variables=lambda value: {"LRU_CACHE_CAPACITY": str(value)},
        help="Capacity of PyTorch's oneDNN primitive cache (LRU_CACHE_CAPACITY, at least 1).",
    ),
    Setting(
        name="batch",
        type=int,
        default=1,
        minimum=1,
        flags=("--batch",),
        repeatable=True,
        label_suffix="-batch{value}",
        same_as="workload.batch",
        help="Samples per forward (batch size).",
    ),
    Setting(
        name="sequence_length",
        type=int,
        default=128,
        minimum=1,
        flags=("--sequence-length",),
        repeatable=True,
        label_suffix="-tokens{value}",
        metavar="TOKENS",
        help="Tokens per text, for language models.",
    ),
    Setting(
        name="seed",
        type=int,
        default=0,
        minimum=0,
        flags=("--seed",),
        repeatable=True,
        label_suffix="-seed{value}",
        same_as="workload.seed",
        help="Seed of random weights and inputs.",
    ),
    Setting(
        name="weights",
        type=str,
        default="random",
        choices=("random", "pretrained"),
        other_values=("own",),  # made by the user's code
        flags=("--weights",),
        same_as="workload.weights",
        help="Model weights; random weights are the same under every PyTorch version.",
    ),
    Setting(
        name="with_stack",
        type=bool,
        default=False,
        flags=("--with-stack",),
        measuring=True,
        # frozen TorchScript with stacks segfaults in PyTorch 2.0.1 and 2.15.0 (pytorch#83585)
        after_crash=False,
        after_crash_text="without stacks",
        help="Record Python stacks and modules; slower, and crashes some PyTorch versions.",
    ),
    Setting(
        name="record_shapes",
        type=bool,
        default=True,
        measuring=True,
        help="Whether the trace records the input shapes of operators.",
    ),
    Setting(
        name="onednn",
        type=bool,
        default=True,
        flags=("--onednn/--no-onednn",),
        recorded=False,
        help="After the rounds, run one more process per configuration with oneDNN's verbose log on. It shows which "
        "primitives ran.",
    ),
    Setting(
        name="timeout_s",
        type=float,
        default=1800.0,
        minimum=1,
        flags=("--timeout",),
        metavar="SECONDS",
        recorded=False,
        help="End a round that takes longer than this (seconds), and count it as failed.",
    ),
)


def declared() -> dict[str, Setting]:
    """Return the settings of :data:`SETTINGS` by name, in order."""
    return {setting.name: setting for setting in SETTINGS}


class Settings(dict[str, Any]):
    """Values by setting name. A declared setting that is absent has its default, also as an attribute.

    Names that are not declared, from the manifest of a newer profkit, are kept as they are.
    """

    def __init__(self, values: Mapping[str, object] = {}, /, **more: object) -> None:
        """Take the values, those of ``more`` first; raises ValueError, naming the setting, if one is not valid."""
        known = declared()
        given = {**values, **more}
        super().__init__({name: known[name].check(v) if name in known else v for name, v in given.items()})

    def __getattr__(self, name: str) -> Any:
        """Return the value of a setting, or its default; raises AttributeError if there is no such setting."""
        if name in self:
            return self[name]
        try:
            return declared()[name].default
        except KeyError:
            raise AttributeError(name) from None

    def changed(self, **values: object) -> Settings:
        """Return a copy with other values; raises ValueError if one is not valid."""
        return Settings(self, **values)

    def usable(self) -> Settings:
        """Return a copy in which a setting that needs a value of another one, and has it not, is at its default."""
        needs = [s for s in SETTINGS if s.only_with and getattr(self, s.only_with[0]) != s.only_with[1]]
        return self.changed(**{s.name: s.default for s in needs if s.name in self})

    def completed(self, same_as: Mapping[str, Value]) -> Settings:
        """Return the settings of a manifest: each recorded one, then those that are not declared.

        ``same_as`` holds the values that other fields of the manifest give, by the name of the setting. Raises
        ValueError if one is not valid.
        """
        known = declared()
        values = {s.name: getattr(self, s.name) for s in known.values() if s.recorded}
        return Settings(values | {name: value for name, value in self.items() if name not in known}, **same_as)

    def variables(self) -> dict[str, str]:
        """Return the environment variables that these settings set in the worker."""
        found: dict[str, str] = {}
        for setting in SETTINGS:
            if setting.variables is not None:
                found |= setting.variables(getattr(self, setting.name))
        return found

    def label_suffix(self) -> str:
        """Return what the values that are not the default add to a label (``-bf16-frozen``)."""
        return "".join(setting.suffix(getattr(self, setting.name)) for setting in SETTINGS)

    def command_words(self, without: Set[str] = frozenset()) -> list[str]:
        """Return the options of ``profkit capture`` that give these settings, except those named in ``without``."""
        chosen = [setting for setting in SETTINGS if setting.name not in without]
        return [word for setting in chosen for word in setting.command_words(getattr(self, setting.name))]

    def after_crash(self) -> tuple[Settings, list[str]]:
        """Return the settings of the retry after a crash, and in words what they leave out; [] if nothing."""
        changed = [s for s in SETTINGS if s.after_crash is not None and getattr(self, s.name) != s.after_crash]
        return self.changed(**{s.name: s.after_crash for s in changed}), [s.after_crash_text for s in changed]

    def rows(self) -> list[tuple[str, str]]:
        """Return name and value of each setting as text, for people; None reads as the default's description."""
        known = declared()
        names = [s.name for s in SETTINGS if s.recorded] + [name for name in self if name not in known]
        return [(name, show(getattr(self, name), known.get(name))) for name in names]


def settings_schema() -> dict[str, Any]:
    """Return the JSON schema of a manifest's ``settings``: type, bounds and description of each recorded setting."""
    return {s.name: s.schema() for s in SETTINGS if s.recorded}
