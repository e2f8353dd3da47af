"""Write the traces of this folder: one forward of two operators, as each range of PyTorch versions writes it.

Run ``python -m tests.data.dialects.make`` after a change. The layouts are those of real files: which keys an event has,
how times are written, and the head. The numbers are made up and the same in each file: aten::linear from 100 µs on for
50 µs with shape [[1, 8], [4, 8], [4]], in it aten::addmm from 110 µs on for 30 µs. Clocks of 1 ns add 0.25 µs to the
duration of aten::addmm.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASE_US = 1_700_000_000_000_000  # epoch microseconds of a day in 2023
Event = dict[str, Any]


def span(category: str, name: str, ts: float, dur: float, args: Event, **more: Any) -> Event:
    return {"ph": "X", "cat": category, "name": name, "pid": 7, "tid": 7, "ts": ts, "dur": dur, "args": args, **more}


def cpu(category: str, base: float, fine: bool, args: list[Event]) -> list[Event]:
    shapes = ("[[1, 8], [4, 8], [4]]", "[[4], [1, 8], [8, 4]]")
    dims = [{"Input Dims": json.loads(text)} for text in shapes]
    return [
        span(category, "aten::linear", base + 100, 50.0 if fine else 50, {**args[0], **dims[0]}),
        span(category, "aten::addmm", base + 110, 30.25 if fine else 30, {**args[1], **dims[1]}),
    ]


def ids(*names: str, **more: Any) -> list[Event]:
    return [{"External id": 5 + k, **dict.fromkeys(names, 1 + k), **more} for k in range(2)]


OLD_MODULES = [{"Call stack": "net.py(3): forward", "Module Hierarchy": "Net/Linear"}] * 2
HEAD: Event = {"schemaVersion": 1, "deviceProperties": []}
DOCUMENTS: dict[str, tuple[Event, list[Event]]] = {
    "1.8-to-1.11": (
        HEAD,
        cpu("Operator", BASE_US, False, [{**a, **m} for a, m in zip(ids(), OLD_MODULES, strict=True)]),
    ),
    "1.12": (HEAD, cpu("cpu_op", BASE_US, False, ids())),
    "1.13": (HEAD, cpu("cpu_op", BASE_US, False, ids("Profiler Event Index"))),
    "2.0": (HEAD, cpu("cpu_op", BASE_US, False, ids("Ev Idx"))),
    "2.1-to-2.3": (HEAD, cpu("cpu_op", BASE_US, False, ids("Ev Idx", **{"Record function id": 0}))),
    "2.4-to-2.7": (
        {**HEAD, "displayTimeUnit": "ms"},
        cpu("cpu_op", BASE_US, True, ids("Ev Idx", **{"Record function id": 0})),
    ),
    "2.8-to-2.15": (
        {**HEAD, "displayTimeUnit": "ms", "baseTimeNanoseconds": 1_600_000_000_000_000_000},
        cpu("cpu_op", BASE_US - 1_600_000_000_000_000, True, ids("Ev Idx", **{"Record function id": 0})),
    ),
}

PROPERTIES = {"id": 0, "name": "NVIDIA A10G", "totalGlobalMem": 1 << 34, "computeMajor": 8, "numSms": 80}


def gpu() -> list[Event]:
    """Two streams: a copy and a kernel found by their External id, a kernel found by its launch, and one by nothing."""
    device: Event = {"pid": 0}
    return [
        span("cpu_op", "aten::to", 100.0, 30.0, {"External id": 5, "Ev Idx": 1}),
        span("cpu_op", "aten::copy_", 105.0, 20.0, {"External id": 6, "Ev Idx": 2}),
        span("cuda_runtime", "cudaMemcpyAsync", 110.0, 5.0, {"External id": 6, "cbid": 41, "correlation": 6}),
        span("cpu_op", "aten::linear", 140.0, 60.0, {"External id": 7, "Ev Idx": 3}),
        span("cpu_op", "aten::addmm", 145.0, 50.0, {"External id": 8, "Ev Idx": 4}),
        span("cuda_runtime", "cudaLaunchKernel", 150.0, 5.0, {"External id": 8, "cbid": 211, "correlation": 8}),
        span("cuda_runtime", "cudaLaunchKernel", 160.0, 5.0, {"cbid": 211, "correlation": 9}),
        span(
            "gpu_memcpy",
            "Memcpy HtoD",
            116.5,
            4.25,
            {"External id": 6, "stream": 20, "correlation": 6},
            tid=20,
            **device,
        ),
        span(
            "kernel",
            "ampere_sgemm_32x128_tn",
            156.0,
            20.5,
            {"External id": 8, "stream": 7, "correlation": 8},
            tid=7,
            **device,
        ),
        span("kernel", "epilogue", 177.0, 3.125, {"stream": 7, "correlation": 9}, tid=7, **device),
        span("kernel", "of_somebody_else", 181.0, 2.0, {"stream": 7, "correlation": 99}, tid=7, **device),
        {"ph": "s", "id": 8, "pid": 7, "tid": 7, "ts": 150.0, "cat": "ac2g", "name": "ac2g"},
        {"ph": "f", "id": 8, "pid": 0, "tid": 7, "ts": 156.0, "cat": "ac2g", "name": "ac2g", "bp": "e"},
    ]


def old_gpu() -> list[Event]:
    """The capitalised categories of 1.8 to 1.11, with a kernel as the first event."""
    return [
        span(
            "Kernel",
            "ampere_sgemm_32x128_tn",
            156,
            20,
            {"External id": 8, "device": 0, "stream": 7, "correlation": 8},
            pid=0,
        ),
        span(
            "Memcpy",
            "Memcpy HtoD",
            116,
            4,
            {"External id": 6, "device": 0, "stream": 20, "correlation": 6},
            pid=0,
            tid=20,
        ),
        span("Operator", "aten::to", 100, 30, {"External id": 5}),
        span("Operator", "aten::copy_", 105, 20, {"External id": 6}),
        span("Runtime", "cudaMemcpyAsync", 110, 5, {"External id": 6, "cbid": 41, "correlation": 6}),
        span("Operator", "aten::linear", 140, 60, {"External id": 7}),
        span("Operator", "aten::addmm", 145, 50, {"External id": 8}),
        span("Runtime", "cudaLaunchKernel", 150, 5, {"External id": 8, "cbid": 211, "correlation": 8}),
    ]


def before_kineto() -> list[Event]:
    """The exporter of the autograd profiler: no category, a process named "CPU functions"."""
    track = {"tid": 0, "pid": "CPU functions"}
    names = {"aten::linear": (100.5, 50.25), "aten::addmm": (110.0, 30.0)}
    return [{"name": n, "ph": "X", "ts": ts, "dur": dur, **track, "args": {}} for n, (ts, dur) in names.items()]


def modules() -> list[Event]:
    """Python frames as with_stack=True writes them from 1.13 on: a module in a module, operators in both."""
    return [
        span("python_function", "net.py(9): forward", 99, 80, {"Python id": 1, "Ev Idx": 0}),
        span("python_function", "nn.Module: Net_0", 100, 70, {"Python id": 2, "Python parent id": 1, "Ev Idx": 1}),
        span("cpu_op", "aten::relu", 101, 5, {"External id": 1, "Ev Idx": 2}),
        span("python_function", "nn.Module: Linear_0", 110, 40, {"Python id": 3, "Python parent id": 2, "Ev Idx": 3}),
        span("cpu_op", "aten::linear", 112, 30, {"External id": 2, "Ev Idx": 4}),
        span("cpu_op", "aten::addmm", 115, 20, {"External id": 3, "Ev Idx": 5}),
        span("cpu_op", "aten::relu", 171, 4, {"External id": 4, "Ev Idx": 6}),
    ]


def ranks_in_ns() -> list[Event]:
    """Absolute times of three decimals, as the exporter of early 2024 wrote them: a float64 resolves 0.25 µs there."""
    base = "1700000000000%03d.%03d"
    times = [
        (100, 1, 60, 333),
        (110, 130, 30, 490),
        (140, 621, 10, 219),
    ]  # the third begins 1 ns after the second
    names = ("aten::linear", "aten::t", "aten::addmm")
    marks = [base % (us, ns) for us, ns, _, _ in times]
    return [
        span("cpu_op", name, float(mark), us + ns / 1000, {"External id": k, "Ev Idx": k}, exact=mark)
        for k, (name, mark, (_, _, us, ns)) in enumerate(zip(names, marks, times, strict=True))
    ]


def text(head: Event, events: list[Event]) -> str:
    """One event a line, absolute times in full: json.dumps would round them to a float64."""
    lines = []
    for event in events:
        exact = event.pop("exact", None)
        line = json.dumps(event)
        lines.append(line if exact is None else line.replace(json.dumps(event["ts"]), exact))
    return json.dumps(head)[:-1] + ', "traceEvents": [\n' + ",\n".join(lines) + "\n]}\n"


def write() -> dict[str, str]:
    """Return the files' names and texts."""
    files = {f"{versions}.json": text(head, events) for versions, (head, events) in DOCUMENTS.items()}
    files["gpu.json"] = text({"schemaVersion": 1, "deviceProperties": [PROPERTIES]}, gpu())
    files["gpu-1.8-to-1.11.json"] = text({"schemaVersion": 1, "deviceProperties": [PROPERTIES]}, old_gpu())
    files["autograd-profiler.json"] = json.dumps(before_kineto()) + "\n"
    files["modules.json"] = text(HEAD, modules())
    distributed = {"backend": "nccl", "rank": 0, "world_size": 2}
    files["ranks-in-ns.json"] = text({**HEAD, "distributedInfo": distributed, "displayTimeUnit": "ms"}, ranks_in_ns())
    return files


if __name__ == "__main__":
    for name, content in write().items():
        (HERE / name).write_text(content, encoding="utf-8")
