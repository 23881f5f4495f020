"""Which devices there are, how busy they are, and which of them a run should go to: asked of NVML, never of torch."""

from __future__ import annotations

import functools
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psutil
import pynvml

from mtl_core.jobs.modes import whole_number


@dataclass(frozen=True)
class Device:
    """A place where runs go. ``key`` is how the store and configs call it; ``visible`` is for CUDA_VISIBLE_DEVICES."""

    key: str
    name: str
    kind: Literal["cpu", "gpu"]
    visible: str = ""


@dataclass(frozen=True)
class DeviceLoad:
    """How busy a device is now: ``busy`` in 0..1, memory in bytes; None where the driver does not tell."""

    key: str
    name: str
    kind: Literal["cpu", "gpu"]
    busy: float | None
    memory_used: int | None
    memory_total: int | None


def devices() -> list[Device]:
    """The CPU and the GPUs that CUDA_VISIBLE_DEVICES leaves; GPUs are numbered as CUDA in PCI order would."""
    return [Device("cpu", _cpu_name(), "cpu"), *_gpus()]


def device_load() -> list[DeviceLoad]:
    """Load of every device, GPUs first. The CPU's share is that since the last call (0 on the first)."""
    memory = psutil.virtual_memory()
    busy = psutil.cpu_percent(interval=None) / 100
    cpu = DeviceLoad("cpu", _cpu_name(), "cpu", busy, memory.total - memory.available, memory.total)
    return [*(_gpu_load(device) for device in _gpus()), cpu]


def slots(device: str) -> int:
    """How many runs may train on that device at once (MTL_EXPLORER_CPU_SLOTS, MTL_EXPLORER_GPU_SLOTS; 1 if unset)."""
    return whole_number("MTL_EXPLORER_CPU_SLOTS" if device == "cpu" else "MTL_EXPLORER_GPU_SLOTS", 1, least=1)


def place(wanted: str, taken: Mapping[str, int], known: Sequence[Device]) -> str | None:
    """The device key for a run that asks for ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; None while every place is taken.

    A GPU that is not there is still a place: the worker then says in words that it is missing.

    >>> gpus = [Device("cpu", "", "cpu"), Device("cuda:0", "", "gpu"), Device("cuda:1", "", "gpu")]
    >>> place("auto", {}, gpus[:1]), place("auto", {"cpu": 1}, gpus[:1]), place("cuda:1", {}, gpus)
    ('cpu', None, 'cuda:1')
    """
    count = Counter(dict(taken))
    free = [key for key in choices(wanted, known) if count[key] < slots(key)]
    if len(free) > 1:
        by_key = {device.key: _gpu_load(device) for device in known if device.kind == "gpu"}
        free.sort(key=lambda key: (count[key], by_key[key].busy or 0.0, by_key[key].memory_used or 0))
    return free[0] if free else None


def choices(wanted: str, known: Sequence[Device]) -> list[str]:
    """The keys of all devices that a run may go to which asks for ``wanted``, free or not; at least one.

    >>> choices("auto", [Device("cpu", "", "cpu")]), choices("cuda:1", [])
    (['cpu'], ['cuda:1'])
    """
    gpus = [device.key for device in known if device.kind == "gpu"]
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return ["cpu"]
    return (gpus or ["cuda:0"]) if wanted in ("auto", "cuda") else [wanted]


def _gpus() -> list[Device]:
    if not _has_nvml():
        return []
    found = [_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
    wish = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wish is not None:
        found = _chosen(found, wish)
    return [Device(f"cuda:{index}", gpu.name, "gpu", gpu.visible) for index, gpu in enumerate(found)]


def _gpu(index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Device(str(index), _text(pynvml.nvmlDeviceGetName(handle)), "gpu", _text(pynvml.nvmlDeviceGetUUID(handle)))


def _chosen(found: list[Device], wish: str) -> list[Device]:
    """What CUDA makes of CUDA_VISIBLE_DEVICES: a list of numbers or UUID beginnings that ends at the first unknown one."""
    chosen: list[Device] = []
    for word in (part.strip() for part in wish.split(",")):
        if word.startswith("MIG-"):  # a slice of a GPU: NVML gives no load for it
            chosen.append(Device(word, "slice of a GPU", "gpu", word))
            continue
        match = [gpu for gpu in found if word and (gpu.key == word or gpu.visible.startswith(word))]
        if not match:
            break
        chosen.append(match[0])
    return chosen


def _gpu_load(device: Device) -> DeviceLoad:
    busy = used = total = None
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(device.visible)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        used, total = int(memory.used), int(memory.total)
        busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except pynvml.NVMLError:
        pass  # slices of a GPU and some laptops tell less
    return DeviceLoad(device.key, device.name, "gpu", busy, used, total)


@functools.cache
def _has_nvml() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


@functools.cache
def _cpu_name() -> str:
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()} processor, {n_cores} cores"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
