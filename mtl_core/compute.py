"""Where a run computes, and in what precision. The only questions put to CUDA before the first step."""

from __future__ import annotations

import torch


def choose_device(name: str) -> torch.device:
    """The device of that name; auto is a GPU if there is one. Raises ValueError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"there is no device {name} here ({torch.cuda.device_count()} GPUs): choose auto or cpu")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """bfloat16 where asked for or, on auto, where a GPU has it; the CPU always computes in float32."""
    if device.type != "cuda" or name == "float32":
        return torch.float32
    return torch.bfloat16 if name == "bfloat16" or torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32


def device_title(device: torch.device) -> str:
    """What people call it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
