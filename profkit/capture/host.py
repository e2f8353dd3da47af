"""Describes the machine of a capture: CPU, memory, operating system."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from profkit.capture.system import System, cpu_quota, governor, huge_pages, numa_nodes, turbo
from profkit.errors import UsageError
from profkit.runs.manifest import Host
from profkit.shortening import shorten

# CPU features by which oneDNN and PyTorch choose their kernels, named as in /proc/cpuinfo (x86, then Arm)
ISA = (
    "sse4_2 avx avx2 avx_vnni fma avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 "
    "amx_tile amx_int8 amx_bf16 amx_fp16 asimd asimddp asimdhp sve sve2 sme bf16 svebf16 i8mm"
).split()
_DMI = Path("/sys/devices/virtual/dmi/id")
# Nitro instances, virtual and metal, name EC2 as the vendor and the type as the product. Older instances on Xen say
# "Xen" and "HVM domU": their firmware does not tell the type.
_EC2 = "Amazon EC2"
_EC2_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")  # c7g.4xlarge, u-12tb1.112xlarge, c7g.metal
_TYPE = re.compile(r"[\w.+-]{1,100}", re.ASCII)  # of any cloud


def check_instance_type(name: str) -> str:
    """Return the name of an instance type that a user gave; raises UsageError if it cannot be one."""
    if not _TYPE.fullmatch(name):
        hint = "Give it as the cloud writes it, such as --instance-type c7g.4xlarge."
        raise UsageError(f"{shorten(name, 100)!r} is not the name of an instance type", hint=hint)
    return name


def describe_host(instance_type: str | None = None) -> Host:
    """Describe this machine (memory in bytes); a field that cannot be determined is empty or None.

    ``instance_type`` counts if it is given, else what the firmware of an EC2 instance says. CPU features and sockets
    come from ``/proc/cpuinfo``, so they are empty on macOS.
    """
    cpuinfo, system = _read(Path("/proc/cpuinfo")), System()
    flags = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features") or "").split())
    sockets = set(re.findall(r"^physical id\s*: (\d+)", cpuinfo, re.M))
    return Host(
        name=platform.node(),
        cpu=_field(cpuinfo, "model name") or platform.processor() or platform.machine(),
        isa=[name for name in ISA if name in flags],
        cores=os.cpu_count(),
        sockets=len(sockets) or None,
        memory_bytes=_memory(),
        os=_operating_system(),
        kernel=platform.release(),
        governor=governor(system),
        turbo=turbo(system),
        numa_nodes=numa_nodes(system),
        huge_pages=huge_pages(system),
        cpu_quota=cpu_quota(system),
        instance_type=instance_type or find_instance_type(),
    )


def _read(path: Path) -> str:
    """Return the file's text, empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(cpuinfo: str, name: str) -> str | None:
    """Return the value of the first line ``name : value``, None if there is none."""
    match = re.search(rf"^{re.escape(name)}\s*: (.+)$", cpuinfo, re.M)
    return match[1].strip() if match else None


def _memory() -> int | None:
    """Return the physical memory in bytes, None if the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _operating_system() -> str:
    """Return the distribution's name from os-release(5), else the system's name and release."""
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read(Path("/etc/os-release")), re.M)
    return match[1] if match else f"{platform.system()} {platform.release()}"


def find_instance_type(dmi: Path = _DMI) -> str | None:
    """Return the instance type of an EC2 instance from its firmware, without the network; None on other machines.

    ``dmi`` is the folder in which the kernel shows the firmware's tables. Sources: systemd's ``src/basic/virt.c`` and
    the EC2 user guide, "Detect whether a host is an EC2 instance".
    """
    vendor, product = (_read(dmi / name).strip() for name in ("sys_vendor", "product_name"))
    return product if vendor == _EC2 and _EC2_TYPE.fullmatch(product) else None
