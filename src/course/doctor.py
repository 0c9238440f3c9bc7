"""What this installation can do, and what to do about what it cannot."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis."""

    name: str
    ok: bool
    words: str


def diagnose() -> list[Check]:
    """Look at Python, PyTorch, device, data, notebooks, grading and the site, in that order."""
    return [*_torch(), *_data(), *_tools()]


def _torch() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", sys.version_info >= (3, 11), f"{version} (3.11 or newer is needed)")
    try:
        import torch
    except ImportError as e:
        yield Check("torch", False, f"does not import ({e}): run make setup")
        return
    try:
        import torchvision

        # The operators are registered late: a mismatched pair imports and fails on first use.
        torch.ops.torchvision.nms  # noqa: B018
        yield Check(
            "torch", True, f"{torch.__version__} with torchvision {torchvision.__version__}"
        )
    except (ImportError, RuntimeError, AttributeError) as e:
        line = str(e).splitlines()[0]
        yield Check(
            "torch",
            False,
            f"{torch.__version__} and torchvision do not match ({line}): run make setup",
        )
        return
    from course import runtime

    try:
        device = runtime.device()
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        yield Check("device", True, f"{device} ({name})")
    except RuntimeError as e:
        yield Check("device", False, str(e))


def _data() -> Iterator[Check]:
    try:
        from course import data

        found = {name: data.inspect(name) for name in data.TORCHVISION}
    except (ImportError, RuntimeError):
        yield Check("data", False, "cannot be looked at before torch and torchvision import")
        return
    named, folder = os.environ.get("COURSE_DATA"), data.data_folder()
    where = f"COURSE_DATA={named}" if named else f"cache folder {folder}"
    damaged = [f"{n} {f}" for n, files in found.items() for f, s in files.items() if s == "damaged"]
    whole = [n for n, files in found.items() if set(files.values()) == {"whole"}]
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if named and not folder.is_dir():
        trouble = " is not a folder: create it or unset it"
    elif damaged:
        trouble = f" holds damaged files ({', '.join(damaged)}): delete them to have them fetched"
    elif "mnist" not in whole and not os.access(there, os.W_OK):
        trouble = " holds no MNIST and cannot be written: choose a folder that you can write to"
    else:
        yield Check("data", True, f"{where} holds {', '.join(whole) or 'nothing yet'}")
        return
    yield Check("data", False, where + trouble)


def _tools() -> Iterator[Check]:
    wanted = {
        "jupyterlab": "notebooks",
        "nbgrader": "grading",
        "jupyter_book": "the site",
        "jupytext": "the chapters' sources",
    }
    for module, what in wanted.items():
        there = importlib.util.find_spec(module) is not None
        yield Check(module, there, f"for {what}" if there else f"missing ({what}): run make setup")
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    alembic = shutil.which("alembic", path=path)
    yield Check("alembic", bool(alembic), "for nbgrader" if alembic else "missing: run make setup")
    bwrap = shutil.which("bwrap", path=path)
    words = "for grading in isolation" + ("" if bwrap else ": not here (optional; Linux only)")
    yield Check("bubblewrap", True, words)
