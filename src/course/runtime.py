"""Device, seed, precision, timing and memory: the one place that knows about CUDA, MPS and CPU."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import torch


def device() -> torch.device:
    """The device to compute on: COURSE_DEVICE if set (cpu, cuda, cuda:1, mps), else the best there is.

    Raises:
        RuntimeError: COURSE_DEVICE names no device, or one that this machine does not have.
    """
    wanted = os.environ.get("COURSE_DEVICE", "").strip()
    if not wanted:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(wanted)
    except RuntimeError:
        found = None
    if found is None or found.type not in ("cpu", "cuda", "mps"):
        raise RuntimeError(f"COURSE_DEVICE={wanted!r} is no device: use cpu, cuda, cuda:1 or mps")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        have = torch.cuda.device_count()
        raise RuntimeError(
            f"COURSE_DEVICE={wanted}, but PyTorch sees {have} CUDA devices: unset it or use cpu"
        )
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise RuntimeError("COURSE_DEVICE=mps, but PyTorch sees no MPS: unset it or use cpu")
    return found


def seed(n: int | None = None) -> torch.Generator:
    """Seed Python, NumPy and PyTorch (all devices) and return a CPU generator with that seed.

    Args:
        n: the seed; COURSE_SEED, or 0, when None.

    Raises:
        RuntimeError: COURSE_SEED is not a whole number from 0 on, of at most 18 digits.
    """
    if n is None:
        text = os.environ.get("COURSE_SEED", "").strip() or "0"
        if not text.isdecimal() or len(text) > 18:  # torch takes 64 bits
            raise RuntimeError(
                f"COURSE_SEED={text!r} is no seed: use a whole number from 0 on, at most 18 digits"
            )
        n = int(text)
    random.seed(n)
    np.random.seed(n % 2**32)
    torch.manual_seed(n)
    return torch.Generator().manual_seed(n)


def autocast_dtype(on: torch.device) -> torch.dtype:
    """The dtype for torch.autocast: bfloat16 where the hardware computes in it, else float16 on GPUs.

    float32 on a CPU means: do not autocast; there it costs time instead of saving it.
    """
    if on.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if on.type == "mps" else torch.float32


def synchronize(on: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU always has."""
    if on.type == "cuda":
        torch.cuda.synchronize(on)
    elif on.type == "mps":
        torch.mps.synchronize()


class timer:
    """Seconds that a block takes, the device's work included.

    >>> with timer() as t:
    ...     y = x @ x
    >>> t.seconds
    """

    def __init__(self, on: torch.device | None = None) -> None:
        self.device = on or device()
        self.seconds = float("nan")

    def __enter__(self) -> timer:
        synchronize(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        synchronize(self.device)
        self.seconds = time.perf_counter() - self._start


def peak_memory(on: torch.device | None = None) -> int:
    """Peak memory in bytes: of tensors on CUDA since the start, of the driver on MPS now, of the
    whole process on a CPU."""
    on = on or device()
    if on.type == "cuda":
        return torch.cuda.max_memory_allocated(on)
    if on.type == "mps":
        return torch.mps.driver_allocated_memory()
    try:  # Linux, in kibibytes; its ru_maxrss starts at the peak of the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes


def budget(cpu: int, cuda: int) -> int:
    """Steps to do in one cell: few on a CPU, more on a GPU."""
    return cpu if device().type == "cpu" else cuda


def on_page() -> bool:
    """Whether the site is being built: labs then show a recorded run."""
    return os.environ.get("COURSE_PAGE") == "1"
