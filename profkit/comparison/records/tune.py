"""Which settings pay on a machine (schema ``tune/1``)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.load import LoadPoint
from profkit.comparison.records.parts import Judged, Record
from profkit.comparison.records.sweep import SweepPoint
from profkit.quantities import Ratio, Share


class Tried(Record, frozen=True, kw_only=True):
    """One candidate alone, compared with the configuration as it is."""

    factor: Annotated[str, Meta(description="what it is a value of; one value of a factor can be chosen")]
    name: Annotated[str, Meta(description="the candidate in words")]
    source: Annotated[str, Meta(description="where it is recommended (URL)")]
    options: Annotated[str, Meta(description="the options of profkit capture that give it")]
    point: Annotated[SweepPoint, Meta(description="what was measured")]
    outputs_kept: Annotated[
        bool | None,
        Meta(description="whether the outputs are within the limit; false if not comparable, null if none were kept"),
    ]
    is_promising: Annotated[bool, Meta(description="shown to be faster, with outputs within the limit")]


class Part(Record, frozen=True, kw_only=True):
    """What one factor adds to the combination: the combination without it, compared with the combination."""

    name: Annotated[str, Meta(description="the candidate in words")]
    factor: Annotated[str, Meta(description="its factor")]
    alone: Annotated[Judged, Meta(description="its speedup alone")]
    beside: Annotated[Judged, Meta(description="its speedup beside the others of the combination")]


class Recipe(Record, frozen=True, kw_only=True):
    """The settings that are recommended."""

    names: Annotated[list[str], Meta(description="its candidates in words; empty if nothing pays")]
    command: Annotated[str, Meta(description="the command that captures the workload with them")]
    settings: Annotated[dict[str, str], Meta(description="settings by name")]
    variables: Annotated[dict[str, str], Meta(description="environment variables by name")]
    point: Annotated[
        SweepPoint, Meta(description="what was measured with it, compared with the configuration as it is")
    ]


class TuneResult(Record, frozen=True, kw_only=True):
    """Which settings make a workload faster, each alone and together."""

    schema: Annotated[Literal["tune/1"], Meta(description="schema of this document")] = "tune/1"
    workload: Annotated[str, Meta(description="name of the workload")]
    baseline: Annotated[SweepPoint, Meta(description="the configuration as it is")]
    least_cosine: Annotated[Share, Meta(description="limit of the outputs' cosine similarity")]
    tried: Annotated[list[Tried], Meta(description="every candidate alone")]
    parts: Annotated[
        list[Part], Meta(description="what each factor adds to the combination; empty with one factor")
    ] = []
    product: Annotated[
        Ratio | None, Meta(description="product of the speedups alone of the combination; null with one factor")
    ] = None
    together: Annotated[SweepPoint | None, Meta(description="the combination; null with one factor or none")] = None
    recipe: Annotated[Recipe, Meta(description="what is recommended")]
    serving: Annotated[
        list[LoadPoint],
        Meta(description="what several processes answer with the recipe, by their number; empty if not measured"),
    ] = []
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")] = []
