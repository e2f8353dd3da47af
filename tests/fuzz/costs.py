"""Mutated price files and recommendations, through ``profkit cost``."""

from __future__ import annotations

import json
from typing import Any

from tests.fuzz import mutate_bytes
from tests.fuzz.json_text import parse
from tests.fuzz.runs import BASELINE, CANDIDATE, WORKLOAD, make_base
from tests.fuzz.saved import mutated_beyond
from tests.fuzz.trial import UNCACHED, Trial

PRICES = {
    "prices": [
        {"name": BASELINE, "usd_per_hour": 0.68, "date": "2026-01-31", "source": "a list", "verified": False},
        {"name": CANDIDATE, "usd_per_hour": 0.58},
        {"name": "c7g.4xlarge", "usd_per_hour": 0.58},
    ]
}
PUBLISHED = {
    "JobName": "job",
    "Status": "COMPLETED",
    "InferenceRecommendations": [
        {
            "Metrics": {"CostPerHour": 0.72, "CostPerInference": 1e-6, "MaxInvocations": 12000, "ModelLatency": 20000},
            "EndpointConfiguration": {"InstanceType": "ml.c7g.4xlarge", "InitialInstanceCount": 1},
        },
        {
            "Metrics": {"CostPerHour": float("nan"), "CostPerInference": "NaN", "MaxInvocations": 600},
            "EndpointConfiguration": {"ServerlessConfig": {"MemorySizeInMB": 2048}},
        },
    ],
}


def mutated(trial: Trial) -> None:
    """Mutate one of the two files, its structure or its bytes, and give both to the command."""
    chance = trial.chance
    documents: dict[str, Any] = {"prices": PRICES, "recommender": PUBLISHED}
    trial.base = chance.choice(list(documents))
    paths = {}
    for name, document in documents.items():
        data = json.dumps(document).encode()
        if name == trial.base and chance.random() < 0.8:
            data = mutated_beyond(trial, parse(data.replace(b"NaN,", b"null,")))
        elif name == trial.base:
            data, words = mutate_bytes.mutate(data, chance)
            trial.changes.append(words)
        paths[name] = trial.write(f"{name}.json", data)
    logs = make_base(trial.folder.parent)
    runs = [logs / label / WORKLOAD for label in (BASELINE, CANDIDATE)]
    files = ["--prices", paths["prices"], "--recommender", paths["recommender"]]
    form = chance.choice((("--format", "json"), ("--format", "text"), ("--format", "html")))
    trial.command("cost", *runs, *files, *UNCACHED, *form)
