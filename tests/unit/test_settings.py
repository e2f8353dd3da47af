"""The table of settings: every use of a setting follows from its one record."""

from __future__ import annotations

import shlex
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from profkit.capture.plan import EnvironmentRequest, matrix
from profkit.capture.variables import worker_variables
from profkit.capture.workloads import resolve
from profkit.cli.capture_options import setting_options
from profkit.cli.commands.capture import command as capture_command_line
from profkit.comparison.configuration import find_differences
from profkit.errors import UsageError
from profkit.report.formats.text import render_text
from profkit.report.kinds.information import document
from profkit.report.kinds.kind import Selection
from profkit.runs import Manifest
from profkit.runs import settings as table
from profkit.runs.configuration import compare_configurations, identity_differences, runs_the_same
from profkit.runs.manifest import Fallback, Host, Python, Round, TensorShape, Tool, Torch, Workload
from profkit.runs.setting import Setting
from profkit.runs.settings import SETTINGS, Settings, settings_schema
from profkit.views.information import RunInformation

PRECISION = Setting(
    name="precision",
    type=str,
    default="float32",
    choices=("float32", "bfloat16"),
    flags=("--precision",),
    repeatable=True,
    label_suffix="-{value}",
    expected=True,
    variables=lambda value: {"MODEL_DTYPE": value},
    help="Data type of the model and its input.",
)
ALL = [*SETTINGS, PRECISION]
RESNET = resolve("resnet50")


@pytest.fixture(autouse=True)
def with_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new setting is one more record of the table, and nothing else."""
    monkeypatch.setattr(table, "SETTINGS", tuple(ALL))
    for module in ("profkit.runs.manifest", "profkit.runs.configuration", "profkit.cli.capture_options"):
        monkeypatch.setattr(f"{module}.SETTINGS", tuple(ALL))


def manifest(settings: Settings | None = None, **fields: Any) -> Manifest:
    """Return a manifest; the settings that another field holds are put there."""
    settings = Settings(settings or {})
    known: dict[str, Any] = {
        "status": "complete",
        "label": "2.0",
        "workload": Workload(
            name="resnet50",
            source="torchvision",
            batch=settings.batch,
            seed=settings.seed,
            weights=settings.weights,
            inputs=[TensorShape(shape=[1, 3, 224, 224], dtype="float32")],
            weights_sha256="abc",
        ),
        "torch": Torch(version="2.0.1", wheel="cpu", threads=2),
        "settings": settings,
        "environment": settings.variables(),
        "python": Python(version="3.10.13"),
        "host": Host(cpu="Neoverse-V1", cores=16),
        "tool": Tool(version="0"),
    }
    return Manifest(**{**known, **fields})


def another(setting: Setting) -> Any:
    """Return a valid value that is not the default."""
    if setting.choices:
        return next(value for value in setting.choices if value != setting.default)
    if setting.type is bool:
        return not setting.default
    value = (setting.default or setting.minimum or 0) + 1
    return setting.type(value)


def parse(words: list[str]) -> dict[str, Any]:
    def give(**values: Any) -> dict[str, Any]:
        return values

    made = click.command("capture")(setting_options(give))
    values: dict[str, Any] = made.main(args=words, standalone_mode=False)
    return values


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_the_command_line(setting: Setting) -> None:
    """The option takes what the setting's words give, checks it, and its help is the setting's."""
    if not setting.flags:
        assert setting.command_words(another(setting)) == []
        return
    value = another(setting)
    values = parse(Settings({setting.name: value}).command_words())
    assert values[setting.name] == ((value,) if setting.repeatable else value)
    if setting.repeatable:
        both = [word for v in setting.choices[:2] for word in (setting.flags[0], v)]
        assert parse(both)[setting.name] == setting.choices[:2]
    else:
        assert parse([])[setting.name] == setting.default
    if setting.choices or setting.minimum is not None:
        with pytest.raises(click.BadParameter):
            parse([setting.flags[0], "0.5x" if setting.choices else str((setting.minimum or 0) - 1)])
    made = click.command("capture")(setting_options(lambda **values: None))
    shown = " ".join(CliRunner().invoke(made, ["--help"], terminal_width=1000).output.split())
    assert setting.help in shown
    assert setting.flags[0].partition("/")[0] in shown


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_profkit_capture_has_the_option(setting: Setting) -> None:
    names = {parameter.name for parameter in capture_command_line.params}
    assert (setting.name in names) == bool(setting.flags)


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_the_manifest(setting: Setting) -> None:
    value = another(setting)
    described = manifest(Settings({setting.name: value}))
    fields = msgspec.to_builtins(described)["settings"]
    assert (setting.name in fields) == setting.recorded
    assert (setting.name in settings_schema()) == setting.recorded
    if not setting.recorded:
        return
    assert fields[setting.name] == value
    assert settings_schema()[setting.name]["description"] == setting.help
    assert msgspec.json.decode(msgspec.json.encode(described), type=Manifest) == described
    assert getattr(described.settings, setting.name) == value
    assert getattr(manifest().settings, setting.name) == setting.default
    # a manifest of a time when the setting was not declared
    older = msgspec.to_builtins(manifest())
    del older["settings"][setting.name]
    assert msgspec.convert(older, type=Manifest) == manifest()


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_wrong_values_are_refused_by_name(setting: Setting) -> None:
    wrong: list[Any] = [[], {}, "other" if setting.type is not str or setting.choices else 1]
    wrong += [] if setting.optional else [None]
    wrong += [True] if setting.type is not bool else [1]
    wrong += [] if setting.minimum is None else [setting.minimum - 1]
    for value in wrong:
        with pytest.raises(ValueError, match=rf"^settings\.{setting.name} must be "):
            Settings({setting.name: value})
        if setting.recorded and setting.same_as is None:
            fields = msgspec.to_builtins(manifest())
            fields["settings"][setting.name] = value
            with pytest.raises(msgspec.ValidationError, match=rf"settings\.{setting.name} must be "):
                msgspec.convert(fields, type=Manifest)


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_identity_and_differences(setting: Setting) -> None:
    before, after = manifest(), manifest(Settings({setting.name: another(setting)}))
    found = [d for d in compare_configurations(before, after) if d.field.startswith("settings.")]
    assert [d.field for d in compare_configurations(before, after)] == [d.field for d in found]  # no follow-up
    if not setting.recorded:
        assert found == []
        return
    (difference,) = found
    assert difference.field == f"settings.{setting.name}"
    assert difference.after == str(another(setting))
    was = "not set" if setting.default is None else str(setting.default)
    said = [f"settings.{setting.name} was {was}, is {another(setting)}"]
    assert identity_differences(before, after) == (said if setting.identity else [])
    assert runs_the_same(before, after, but_for="") == (setting.measuring or not setting.identity)
    assert runs_the_same(before, after, but_for=f"settings.{setting.name}")
    (listed,) = find_differences([("resnet50", before, after)])
    assert (listed.field, listed.expected) == (f"settings.{setting.name}", setting.expected)


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_capture_command(setting: Setting) -> None:
    described = manifest(Settings({setting.name: another(setting)}))
    words = shlex.split(described.capture_command() or "")
    assert words[:5] == ["profkit", "capture", "resnet50", "--torch", "2.0.1"]
    if setting.recorded and setting.flags:
        assert setting.command_words(another(setting))[0] in words
    again = parse(words[5:-2])
    for name, setting_ in table.declared().items():
        if setting_.recorded and setting_.flags:
            value = again[name]
            if setting_.repeatable:
                value = value[0] if value else setting_.default
            assert value == described.settings[name]


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_labels(setting: Setting) -> None:
    """Values of a setting with a label suffix are filed under labels of their own; a repeatable one has a suffix."""
    environments = [EnvironmentRequest("2.0", None, "2.0")]
    varied = {setting.name: [setting.default, another(setting)]}
    if setting.only_with is not None:
        name, value = setting.only_with
        varied, environments = {name: [value], **varied}, [EnvironmentRequest("2.0", None, "2.0")]
    base = f"2.0{Settings({name: values[0] for name, values in varied.items()}).label_suffix()}"
    assert setting.label_suffix or not setting.repeatable
    if setting.label_suffix:
        labels = [c.label for c in matrix([RESNET], environments, varied)]
        assert labels == [base, f"{base}{setting.suffix(another(setting))}"]
        assert len(set(labels)) == 2
    else:
        with pytest.raises(UsageError, match="several configurations"):
            matrix([RESNET], environments, varied)


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_environment_variables(setting: Setting) -> None:
    value = another(setting)
    expected = dict(setting.variables(value)) if setting.variables is not None else {}
    assert worker_variables(Settings({setting.name: value}), {}).items() >= expected.items()


@pytest.mark.parametrize("setting", ALL, ids=lambda s: s.name)
def test_information(setting: Setting) -> None:
    described = manifest(Settings({setting.name: another(setting)}))
    information = RunInformation(path="logs", workload="resnet50", manifest=described, traces=[])
    rows = [line.split() for line in render_text(document(information, Selection())).splitlines()]
    shown = table.show(another(setting), setting)
    assert ([setting.name, *shown.split()] in rows) == setting.recorded


def test_a_setting_of_a_newer_profkit_is_kept_and_compared() -> None:
    fields = msgspec.to_builtins(manifest())
    fields["settings"]["layout"] = {"memory": ["channels", "last"]}
    newer = msgspec.convert(fields, type=Manifest)
    assert newer.settings.layout == {"memory": ["channels", "last"]}
    assert msgspec.to_builtins(newer)["settings"]["layout"] == {"memory": ["channels", "last"]}
    assert identity_differences(manifest(), newer) == [
        "settings.layout was not set, is {'memory': ['channels', 'last']}"
    ]
    assert ("layout", "{'memory': ['channels', 'last']}") in newer.settings.rows()
    with pytest.raises(AttributeError):
        manifest().settings.layout  # noqa: B018  # the attribute's absence is the point


def test_a_crash_leaves_out_what_is_known_to_crash() -> None:
    settings, left_out = Settings(with_stack=True, steps=7).after_crash()
    assert (settings.with_stack, settings.steps, left_out) == (False, 7, ["without stacks"])
    assert Settings().after_crash() == (Settings(), [])
    fell_back = manifest(fallbacks=[Fallback(round=0, reason="died", instead="run again without stacks")])
    assert identity_differences(fell_back, manifest(Settings(with_stack=True))) == []
    assert identity_differences(manifest(), manifest(Settings(with_stack=True))) != []


def test_the_most_telling_difference_comes_first() -> None:
    after = manifest(
        Settings(threads=4, steps=4),
        torch=Torch(version="2.15.0", wheel="cpu", threads=4),
        python=Python(version="3.11.7"),
        host=Host(cpu="another", cores=16, kernel="6.1"),
    )
    assert identity_differences(manifest(), after) == [
        "torch.version was 2.0.1, is 2.15.0",
        "settings.steps was 10, is 4",
        "settings.threads was not set, is 4",
        "torch.threads was 2, is 4",
        "python.version was 3.10.13, is 3.11.7",
        "host.cpu was Neoverse-V1, is another",
    ]
    assert identity_differences(after, after) == []


def test_what_is_not_known_yet_is_no_other_identity() -> None:
    before_any_round = manifest(torch=None, python=None, workload=Workload(name="resnet50", source="torchvision"))
    assert identity_differences(manifest(), before_any_round) == []
    assert "torch.version" in {d.field for d in compare_configurations(manifest(), before_any_round)}


def test_environment_variables_are_compared_name_by_name() -> None:
    variables = Settings().variables()
    before = manifest(environment={**variables, "OMP_PROC_BIND": "close", "OMP_NUM_THREADS": "2"})
    after = manifest(environment={**variables, "OMP_PROC_BIND": "spread", "ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert identity_differences(before, after) == [
        "environment.OMP_NUM_THREADS was 2, is not set",
        "environment.OMP_PROC_BIND was close, is spread",
        "environment.ONEDNN_MAX_CPU_ISA was not set, is AVX2",
    ]
    assert [(d.field, d.expected) for d in find_differences([("net", before, after)])] == [
        ("environment.OMP_NUM_THREADS", False),
        ("environment.OMP_PROC_BIND", False),
        ("environment.ONEDNN_MAX_CPU_ISA", False),
    ]


NO_TIMES: dict[str, Any] = {"warmup_ns": [], "latency_ns": [], "profiled_ns": []}


@pytest.mark.parametrize(("sessions", "expected"), [(("s", "s"), True), (("s", "t"), False), ((None, None), False)])
def test_a_variable_that_one_capture_varied_is_an_expected_difference(
    sessions: tuple[str | None, str | None], expected: bool
) -> None:
    one, other = (
        manifest(
            environment={"KEY": value},
            rounds=[Round(index=0, order=0, started="", trace="t", session=session, **NO_TIMES)],
        )
        for value, session in zip("ab", sessions, strict=True)
    )
    assert [(d.field, d.expected) for d in find_differences([("net", one, other)])] == [("environment.KEY", expected)]


@pytest.mark.parametrize(("sessions", "expected"), [(("s", "s"), True), (("s", "t"), False), ((None, None), False)])
def test_settings_that_one_capture_varied_are_expected_differences_with_what_follows(
    sessions: tuple[str | None, str | None], expected: bool
) -> None:
    def run(settings: Settings, shape: list[int], session: str | None) -> Manifest:
        described = manifest(
            settings,
            torch=Torch(version="2.0.1", wheel="cpu", threads=settings.threads),
            rounds=[Round(index=0, order=0, started="", trace="t", session=session, **NO_TIMES)],
        )
        inputs = [TensorShape(shape=shape, dtype="float32")]
        return msgspec.structs.replace(described, workload=msgspec.structs.replace(described.workload, inputs=inputs))

    one = run(Settings(threads=1), [1, 3, 224, 224], sessions[0])
    other = run(Settings(threads=2, batch=8), [8, 3, 224, 224], sessions[1])
    found = {d.field: d.expected for d in find_differences([("net", one, other)])}
    assert found == dict.fromkeys(("settings.threads", "settings.batch", "torch.threads", "workload.inputs"), expected)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("profkit", "profkit", True), ("profkit", "user", False), ("user", "user", False), (None, "profkit", False)],
)
def test_an_interpreter_that_profkit_chose_is_expected_to_differ(one: Any, other: Any, expected: bool) -> None:
    before = manifest(python=Python(version="3.10.13", chosen_by=one))
    after = manifest(python=Python(version="3.11.7", chosen_by=other))
    (difference,) = find_differences([("net", before, after)])
    assert (difference.field, difference.expected) == ("python.version", expected)


def test_expected_differences_come_first_and_shared_ones_once() -> None:
    before = manifest()
    one = manifest(Settings(mode="frozen", threads=2), host=Host(cpu="Neoverse-V1", cores=16, kernel="6.1"))
    two = manifest(Settings(mode="frozen"))
    found = find_differences([("a", before, one), ("b", before, two), ("c", None, two)])
    assert [(d.field, d.workload) for d in found] == [
        ("settings.mode", None),
        ("settings.threads", "a"),
        ("host.kernel", "a"),
    ]


def test_every_setting_says_its_unit_or_meaning() -> None:
    assert len({s.name for s in SETTINGS}) == len(SETTINGS)
    assert all(s.help.endswith(".") for s in SETTINGS)
    assert all(s.label_suffix for s in SETTINGS if s.repeatable)
