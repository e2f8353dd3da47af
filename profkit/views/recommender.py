"""What Amazon SageMaker Inference Recommender published: the JSON of ``describe-inference-recommendations-job``.

The shape is that of the service's API (DescribeInferenceRecommendationsJob, RecommendationMetrics). Throughput and
latency are those at the maximum load of its test; ``MaxInvocations`` counts requests per minute, ``ModelLatency`` is in
microseconds, as the service's own metric of that name.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from profkit.comparison.records.cost import PublishedCost
from profkit.errors import InputError
from profkit.files import read_bounded

SIZE_LIMIT = 4 << 20  # bytes: a job has at most ten recommendations, of about 2 kB each
_MOST = 1e12  # of a published number: no count, price or time of an endpoint comes near
_HINT = "It must be what aws sagemaker describe-inference-recommendations-job --output json prints."

Name = Annotated[str, Meta(max_length=200)]
Number = float | str | None
"""A number that the service may not know: it is absent, null, or NaN (also as a text)."""


class _Metrics(msgspec.Struct, frozen=True, rename="pascal"):
    cost_per_hour: Number = None
    cost_per_inference: Number = None
    max_invocations: Number = None
    model_latency: Number = None


class _Serverless(msgspec.Struct, frozen=True):
    memory: Annotated[int, Meta(ge=0, le=1 << 30)] | None = msgspec.field(name="MemorySizeInMB", default=None)


class _Endpoint(msgspec.Struct, frozen=True, rename="pascal"):
    instance_type: Name | None = None
    initial_instance_count: Annotated[int, Meta(ge=1, le=1 << 30)] | None = None
    serverless_config: _Serverless | None = None


class _Recommendation(msgspec.Struct, frozen=True, rename="pascal"):
    endpoint_configuration: _Endpoint
    metrics: _Metrics = _Metrics()


class _Job(msgspec.Struct, frozen=True, rename="pascal"):
    inference_recommendations: Annotated[list[_Recommendation], Meta(max_length=1000)] = []
    status: Name | None = None


def read_recommendations(path: Path) -> list[PublishedCost]:
    """Return what a file of recommendations published, in its order.

    Raises InputError, with the place of the fault, if it cannot be read, is not such a file, or holds none.
    """
    job = _decode(path)
    if not job.inference_recommendations:
        status = f" (the status of the job is {job.status})" if job.status else ""
        raise InputError(f"holds no InferenceRecommendations{status}", where=path, hint=_HINT)
    return [_published(path, place, entry) for place, entry in enumerate(job.inference_recommendations)]


def _decode(path: Path) -> _Job:
    data = read_bounded(path, SIZE_LIMIT).data
    try:
        # json, because the command prints a bare NaN for what is not known, which msgspec refuses
        document: Any = json.loads(data)
        return msgspec.convert(document, type=_Job)
    except (ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"is not a file of recommendations: {what}", where=path, hint=_HINT) from None


def _published(path: Path, place: int, entry: _Recommendation) -> PublishedCost:
    def number(field: str) -> float | None:
        return _number(path, f"$.InferenceRecommendations[{place}].Metrics", field, entry.metrics)

    per_minute, latency_us = number("max_invocations"), number("model_latency")
    each = number("cost_per_inference")
    return PublishedCost(
        name=_name(entry.endpoint_configuration),
        instances=entry.endpoint_configuration.initial_instance_count,
        usd_per_hour=number("cost_per_hour"),
        per_second=None if per_minute is None else per_minute / 60,
        latency_ns=None if latency_us is None else latency_us * 1000,
        usd_per_million=None if each is None else each * 1e6,
    )


def _name(endpoint: _Endpoint) -> str:
    if endpoint.instance_type is not None:
        return endpoint.instance_type
    if endpoint.serverless_config is None:
        return "unknown instance type"
    memory = endpoint.serverless_config.memory
    return "serverless" if memory is None else f"serverless, {memory} MB"


def _number(path: Path, where: str, field: str, metrics: _Metrics) -> float | None:
    """Return a metric, None if the service does not know it; raises InputError if it is no number of this world."""
    value = getattr(metrics, field)
    if isinstance(value, str):
        value = math.nan if value.lower() == "nan" else -1.0
    if value is None or math.isnan(value):
        return None
    if not 0 <= value <= _MOST:
        name = "".join(word.capitalize() for word in field.split("_"))
        raise InputError(f"has no valid number at {where}.{name}", where=path, hint=_HINT)
    return float(value)
