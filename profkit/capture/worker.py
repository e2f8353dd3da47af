"""Runs inside one environment: builds a workload, times it, profiles it, and reports.

Started by :mod:`profkit.capture.session` as ``python worker.py ORDERS.json REPORT_FD`` in a fresh process,
and imported by :func:`profkit.capture` for a model that lives in the user's own process.

Standard library, NumPy and torch only, Python 3.7 and up: this file is executed by interpreters in which
profkit is not installed. torch prints on both standard streams, so reports go, one JSON object a line, to a
descriptor of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gzip
import hashlib
import importlib.machinery
import importlib.util
import json
import math
import os
import platform
import re
import shutil
import statistics
import sys
import time
import traceback
import zlib

import numpy

TYPE_CHECKING = False
if TYPE_CHECKING:  # as typing.TYPE_CHECKING, without importing typing
    from typing import Any, Callable, Dict, Iterator, Tuple

    Order = Dict[str, Any]
    Inputs = Tuple[Any, ...]

ANNOTATION = "profkit.forward"  # the name of the annotation around each profiled forward
LEVEL_WINDOW = 5  # warm-up is level when two windows of this many forwards agree ...
LEVEL_TOLERANCE = 0.03  # ... within this share
WARMUP_LIMIT = 3  # times the warm-up asked for; then the steps start, level or not
GZIP_LEVEL = 6
ONEDNN_LOG = "onednn.log"
ONEDNN_TRACE = "onednn.trace.json.gz"  # not named as TensorBoard would have it: its times are disturbed


class WorkerError(Exception):
    """What cannot be done, in words for the user: ``kind`` names the failed step."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint


class Reporter:
    """Writes events to the descriptor given by the session; to nothing when there is none."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._stream = None if descriptor is None else os.fdopen(descriptor, "w", encoding="utf-8")

    def __call__(self, event: str, **fields: Any) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(dict(fields, event=event)) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(1)  # the session is gone: nobody wants this round, and nobody else would end this process


# --- the model and its input ------------------------------------------------------------------------


def build(order: Order) -> tuple[Any, Inputs]:
    """Return ``(model, inputs)`` of the workload in ``order``; inputs is a tuple of positional arguments."""
    if order["source"] == "torchvision":
        model, inputs = build_torchvision(order)
    else:
        model, inputs = build_from_file(order)
    return model.eval() if hasattr(model, "eval") else model, inputs


def build_torchvision(order: Order) -> tuple[Any, Inputs]:
    import torch

    try:
        from torchvision import models
    except ImportError as error:
        raise WorkerError(
            "workload", "torchvision cannot be imported: %s" % error, "Install torchvision in this environment."
        )
    name = order["name"]
    constructor = models.__dict__.get(name)
    if name not in models.list_models(module=models):
        raise WorkerError(
            "workload",
            "torchvision %s has no classification model %r" % (_version("torchvision"), name),
            "Use a newer --torch, or another model.",
        )
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if order["weights"] == "pretrained":
        try:
            model = models.get_model(name, weights="DEFAULT")
        except Exception as error:  # the hub's failures are of every kind: URLError, OSError, RuntimeError
            raise WorkerError(
                "weights",
                "the pretrained weights of %s cannot be had: %s" % (name, error),
                "Check the network, or use --weights random.",
            )
    else:
        model = constructor(weights=None, **options)
        if hasattr(model, "aux_logits"):
            model.aux_logits = False  # the auxiliary heads run in training only, and TorchScript warns of them
    size = order["image_size"]
    image = random_array((order["batch"], 3, size, size), "input", order["seed"]) * math.sqrt(3.0)
    return model, (torch.from_numpy(image),)


def build_from_file(order: Order) -> tuple[Any, Inputs]:
    path, function = order["path"], order["function"]
    sys.path.insert(0, os.path.dirname(path))
    try:
        loader = importlib.machinery.SourceFileLoader("profkit_workload", path)
        module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(loader.name, loader, origin=path))
        sys.modules[loader.name] = module  # for classes that look their own module up: dataclasses, pickles
        loader.exec_module(module)
        made = getattr(module, function)()
    except Exception as error:  # the user's code: whatever it raises is shown with its place
        place = traceback.extract_tb(sys.exc_info()[2])[-1]
        raise WorkerError(
            "workload",
            "%s:%s failed at %s:%s: %s: %s"
            % (os.path.basename(path), function, place[0], place[1], type(error).__name__, error),
            "Run that function by itself in this environment first.",
        )
    if not (isinstance(made, tuple) and len(made) == 2 and callable(made[0])):
        raise WorkerError(
            "workload",
            "%s:%s returned %s" % (os.path.basename(path), function, type(made).__name__),
            "It must return (model, inputs): a callable and its argument, or a tuple of its arguments.",
        )
    model, inputs = made
    return model, inputs if isinstance(inputs, tuple) else (inputs,)


def random_array(shape: tuple[int, ...], name: str, seed: int) -> Any:
    """Return float32 values uniform on [-1, 1), the same for a name and seed under every NumPy.

    The stream of ``RandomState`` is frozen by NEP 19; the name's CRC keeps tensors independent of the order
    in which a model lists them.
    """
    stream = numpy.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    return (stream.random_sample(shape) * 2.0 - 1.0).astype(numpy.float32)


def randomize(model: Any, inputs: Inputs, seed: int) -> None:
    """Give ``model`` weights that are the same in every version of PyTorch and keep activations level.

    Constants that the constructor chose (normalisation scales, zero biases) stay, but for the weights of
    convolutions and linear layers, a zero head among them. Everything drawn at random is drawn again at He scale
    (He et al. 2015, eq. 10), biases are zeroed, and then one forward multiplies the weight of each convolution and
    linear layer by the power of two that brings its output closest to unit root mean square. A power of two is
    exact in floating point, and rounding to one hides the last-digit differences between versions; oneDNN is off in
    that forward so that no fpmath mode can move it.
    """
    import torch

    layers = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    layer_weights = {id(m.weight) for m in model.modules() if isinstance(m, layers)}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_constant = parameter.is_floating_point() and parameter.min() == parameter.max()
            if not parameter.is_floating_point() or (is_constant and id(parameter) not in layer_weights):
                continue
            if parameter.dim() < 2:
                parameter.zero_()
                continue
            bound = math.sqrt(6.0 / max(1, parameter[0].numel()))
            values = random_array(tuple(parameter.shape), name, seed) * numpy.float32(bound)
            parameter.copy_(torch.from_numpy(values))

        def level(module: Any, arguments: Inputs, output: Any) -> Any:
            scale = output.float().pow(2).mean().sqrt().item()
            if not 0.0 < scale < math.inf:
                return output
            factor = 2.0 ** -round(math.log(scale, 2))
            module.weight.mul_(factor)
            return output * factor

        hooks = [m.register_forward_hook(level) for m in model.modules() if isinstance(m, layers)]
        with torch.backends.mkldnn.flags(enabled=False):
            model(*inputs)
        for hook in hooks:
            hook.remove()


def weights_sha256(model: Any) -> str | None:
    """Return the SHA-256 over names, shapes and bytes of the model's state, or None for a plain callable."""
    if not hasattr(model, "state_dict"):
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if hasattr(tensor, "detach"):
            array = to_numpy(tensor)
            digest.update(("%s %s %s\n" % (name, array.dtype, array.shape)).encode())
            digest.update(numpy.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()


def to_numpy(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) in ("torch.bfloat16",):
        tensor = tensor.float()  # NumPy has no bfloat16
    return tensor.numpy()


def flatten(value: Any, name: str = "output") -> Iterator[tuple[str, Any]]:
    """Yield ``(name, tensor)`` for every tensor in a model's result: nested lists, tuples and mappings."""
    if hasattr(value, "detach"):
        yield name, value
    elif hasattr(value, "items"):
        for key, item in value.items():
            yield from flatten(item, "%s.%s" % (name, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from flatten(item, "%s.%d" % (name, index))


def prepare(model: Any, inputs: Inputs, mode: str) -> tuple[Any, list[str]]:
    """Return ``(callable, notes)``: the model in ``mode``; notes are the ways in which it had to give way."""
    import torch

    notes: list[str] = []
    if mode == "eager":
        return model, notes
    if mode == "compile":
        return compiled(model), notes
    try:
        scripted = torch.jit.script(model)
    except Exception as error:  # scripting fails in many ways (RuntimeError, NotSupportedError, OSError ...)
        notes.append("torch.jit.script failed (%s); traced instead" % str(error).strip().split("\n")[0])
        scripted = torch.jit.trace(model, inputs)
    if mode == "frozen":
        scripted = torch.jit.optimize_for_inference(scripted)
    return scripted, notes


def compiled(model: Any) -> Any:
    import torch

    if not hasattr(torch, "compile"):
        raise WorkerError("mode", "PyTorch %s has no torch.compile" % torch.__version__, "Use --torch 2.0 or newer.")
    compilers = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "cl"]
    if not any(shutil.which(name) for name in compilers):
        raise WorkerError(
            "mode",
            "--mode compile needs a C++ compiler and found none of: %s" % ", ".join(compilers),
            "Install one (Debian: apt-get install g++), or set CXX to its path.",
        )
    return torch.compile(model)


# --- timing and profiling ---------------------------------------------------------------------------


class Forward:
    """One call of the model, timed on the wall in integer nanoseconds; waits for the device if there is one."""

    def __init__(self, call: Any, inputs: Inputs) -> None:
        import torch

        self._call = call
        self._inputs = inputs
        self.on_cuda = any(t.is_cuda for _, t in flatten(inputs))
        self._wait = torch.cuda.synchronize if self.on_cuda else None

    def __call__(self) -> tuple[int, Any]:
        """Run once; return ``(duration in ns, the model's result)``."""
        start = time.perf_counter_ns()
        result = self._call(*self._inputs)
        if self._wait is not None:
            self._wait()
        return time.perf_counter_ns() - start, result


def is_level(durations: list[int]) -> bool:
    """Tell whether the last two windows of ``durations`` have the same median within the tolerance."""
    if len(durations) < 2 * LEVEL_WINDOW:
        return False
    earlier = statistics.median(durations[-2 * LEVEL_WINDOW : -LEVEL_WINDOW])
    later = statistics.median(durations[-LEVEL_WINDOW:])
    return abs(earlier - later) <= LEVEL_TOLERANCE * earlier


def warm_up(forward: Forward, count: int, report: Reporter) -> tuple[list[int], bool]:
    """Run at least ``count`` forwards and on until they are level; return ``(durations_ns, level)``."""
    durations: list[int] = []
    while len(durations) < count or (not is_level(durations) and len(durations) < WARMUP_LIMIT * count):
        durations.append(forward()[0])
        report("forward", stage="warm-up", index=len(durations), count=max(count, len(durations)))
    return durations, is_level(durations)


def timed(forward: Forward, count: int, report: Reporter) -> tuple[list[int], Any]:
    """Return the durations in ns of ``count`` forwards with the profiler off, and the last result."""
    durations, result = [], None
    for index in range(count):
        duration, result = forward()
        durations.append(duration)
        report("forward", stage="latency", index=index + 1, count=count)
    return durations, result


def profiled(
    forward: Forward, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
) -> tuple[list[int], str]:
    """Profile ``settings['steps']`` forwards into ``folder``; return ``(durations_ns, trace file name)``.

    One further step warms the profiler up. Each forward stands in an annotation of profkit's own and in a
    ProfilerStep; tensorboard_trace_handler names the file as TensorBoard expects it.
    """
    from torch import profiler

    activities = [profiler.ProfilerActivity.CPU]
    if forward.on_cuda:
        activities.append(profiler.ProfilerActivity.CUDA)
    before = set(os.listdir(folder))
    durations: list[int] = []
    with profiler.profile(
        activities=activities,
        schedule=profiler.schedule(wait=0, warmup=1, active=settings["steps"], repeat=1),
        on_trace_ready=relative_trace_handler(folder) if chdir else profiler.tensorboard_trace_handler(folder),
        record_shapes=settings["record_shapes"],
        with_stack=settings["with_stack"],
        with_modules=settings["with_stack"],
    ) as profile:
        for index in range(settings["steps"] + 1):
            if index == 1:
                profile.add_metadata_json("profkit", json.dumps(metadata))
            with profiler.record_function(ANNOTATION):
                durations.append(forward()[0])
            report("forward", stage="profile", index=index, count=settings["steps"])
            profile.step()
    (written,) = [name for name in os.listdir(folder) if name not in before and name.endswith(".pt.trace.json")]
    return durations[1:], compress(os.path.join(folder, written))


def observe_onednn(
    call: Any, inputs: Inputs, settings: Order, folder: str, metadata: Order, report: Reporter
) -> dict[str, Any]:
    """Run forwards with oneDNN's verbose log on, and trace the last of them: both by the same clock.

    The log is what the process has printed since it began; printing disturbs the times, so no timing uses this pass.
    """
    import torch

    with torch.no_grad():
        forward = Forward(call, inputs)
        for index in range(settings["warmup"]):
            forward()
            report("forward", stage="onednn", index=index + 1, count=settings["warmup"])
        trace = profiled(forward, settings, folder, metadata, report, chdir=True)[1]
    os.replace(os.path.join(folder, trace), os.path.join(folder, ONEDNN_TRACE))
    return {
        "trace": ONEDNN_TRACE,
        "warmup": settings["warmup"] + 1,  # and the one that warms the profiler up
        "steps": settings["steps"],
    }


@contextlib.contextmanager
def printed_to(path: str) -> Iterator[None]:
    """Let everything that this process prints, C++ libraries included, go to the file meanwhile."""
    sys.stdout.flush()
    standard_output = os.dup(1)
    with open(path, "wb") as target:
        os.dup2(target.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # what C's printf still holds back
        os.dup2(standard_output, 1)
        os.close(standard_output)


def relative_trace_handler(folder: str) -> Callable[[Any], None]:
    """Return a trace handler that works in ``folder``, for a process of our own.

    The exporter writes the path it was given into the file: a relative one tells of nobody's home folder.
    """
    from torch import profiler

    def handle(profile: Any) -> None:
        here = os.getcwd()
        os.chdir(folder)
        try:
            profiler.tensorboard_trace_handler(".")(profile)
        finally:
            os.chdir(here)

    return handle


def compress(path: str) -> str:
    """Replace the file by its gzip; return the new name. The handler's own use_gzip works line by line."""
    packed = path + ".gz"
    with open(path, "rb") as source, open(packed + ".part", "wb") as raw:
        with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    os.replace(packed + ".part", packed)
    os.remove(path)
    return os.path.basename(packed)


def save_outputs(result: Any, path: str) -> str:
    """Write every tensor of the model's result to ``path`` (npz); return their SHA-256."""
    arrays = {name: to_numpy(tensor) for name, tensor in flatten(result)}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(numpy.ascontiguousarray(arrays[name]).tobytes())
    with open(path + ".part", "wb") as target:
        numpy.savez_compressed(target, **arrays)
    os.replace(path + ".part", path)
    return digest.hexdigest()


def measure(
    call: Any, inputs: Inputs, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
) -> dict[str, Any]:
    """Warm up, time, profile; return the round as the manifest holds it (times in ns).

    ``chdir`` allows to change the working directory for a moment, which a user's own process must not see.
    """
    import torch

    with torch.no_grad():
        forward = Forward(call, inputs)
        warmup_ns, level = warm_up(forward, settings["warmup"], report)
        latency_ns, result = timed(forward, settings["steps"], report)
        outputs_sha256 = save_outputs(result, os.path.join(folder, "outputs.npz"))
        profiled_ns, trace = profiled(forward, settings, folder, metadata, report, chdir)
    return {
        "trace": trace,
        "warmup_ns": warmup_ns,
        "level": level,
        "latency_ns": latency_ns,
        "profiled_ns": profiled_ns,
        "outputs_sha256": outputs_sha256,
    }


# --- what is here -----------------------------------------------------------------------------------


def describe_torch() -> dict[str, Any]:
    import torch

    configuration = torch.__config__.show()
    onednn = re.search(r"MKL-DNN v([0-9.]+)|oneDNN v([0-9.]+)", configuration)
    capability = re.search(r"CPU capability usage: (\S+)", configuration)
    version, _, wheel = torch.__version__.partition("+")
    return {
        "version": version,
        "git": torch.version.git_version,
        "wheel": wheel or None,
        "config": configuration,
        "onednn": next(filter(None, onednn.groups())) if onednn and torch.backends.mkldnn.is_available() else None,
        "cpu_capability": capability.group(1) if capability else None,
        "threads": torch.get_num_threads(),
    }


def describe_python() -> dict[str, Any]:
    return {"version": platform.python_version(), "packages": installed_packages()}


def installed_packages() -> list[str]:
    """Return ``["name==version", ...]`` of what is installed here, sorted."""
    try:
        from importlib.metadata import distributions  # Python 3.8 and up
    except ImportError:
        import pkg_resources

        return sorted("%s==%s" % (d.key, d.version) for d in pkg_resources.working_set)
    return sorted({"%s==%s" % (d.metadata["Name"], d.version) for d in distributions() if d.metadata["Name"]})


def describe_inputs(inputs: Inputs) -> list[dict[str, Any]]:
    return [{"shape": list(t.shape), "dtype": str(t.dtype).replace("torch.", "")} for _, t in flatten(inputs)]


def _version(package: str) -> str:
    return getattr(sys.modules.get(package), "__version__", "?")


# --- one process, one round -------------------------------------------------------------------------


def work(orders: Order, report: Reporter) -> None:
    """Carry out ``orders``; every step is reported as it starts, so that a crash can be placed."""
    workload, settings = orders["workload"], orders["settings"]
    report("stage", stage="importing torch")
    import torch

    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    report("torch", **describe_torch())
    report("python", **describe_python())
    report("stage", stage="building the model")
    model, inputs = build(workload)
    if workload["weights"] == "random":
        randomize(model, inputs, workload["seed"])
    report("workload", inputs=describe_inputs(inputs), weights_sha256=weights_sha256(model))
    report("stage", stage="preparing --mode %s" % settings["mode"])
    call, notes = prepare(model, inputs, settings["mode"])
    report("notes", notes=notes)
    metadata = dict(orders["metadata"], torch=torch.__version__, threads=torch.get_num_threads())
    if orders["onednn"]:
        report("onednn", **observe_onednn(call, inputs, settings, orders["folder"], metadata, report))
    else:
        report("round", **measure(call, inputs, settings, orders["folder"], metadata, report, chdir=True))


def main(arguments: list[str]) -> int:
    faulthandler.enable()
    with open(arguments[0], encoding="utf-8") as stream:
        orders = json.load(stream)
    report = Reporter(int(arguments[1]))
    try:
        if orders["onednn"]:
            log = os.path.join(orders["folder"], ONEDNN_LOG)
            with printed_to(log):
                work(orders, report)
            report("log", name=compress(log))
        else:
            work(orders, report)
    except WorkerError as error:
        report("error", kind=error.kind, message=str(error), hint=error.hint)
        return 1
    except Exception as error:  # the process ends here: the session shows what is said, the log holds the rest
        traceback.print_exc()
        message = "%s: %s" % (type(error).__name__, str(error).strip() or "no message")
        report("error", kind="internal", message=message[:2000], hint="")
        return 1
    return 0


if __name__ == "__main__":
    STATUS = main(sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(STATUS)  # all is written, and unloading torch takes a second
