"""Data sets behind one name: real downloads through torchvision, an offline default, seeded splits."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.client
import os
import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

DOWNLOAD_SECONDS = 10
"""A download that brings nothing for so long has failed."""
ANSWER_SECONDS = 5
"""A server that has not answered after so long counts as unreachable."""
HELD_OUT = 5_000
"""Of MNIST's 60,000 training images the first 5,000 are for validation, as TensorFlow's tutorial did."""


@dataclass(frozen=True)
class Split:
    """Images `x` (n, 1, H, W), float32 in [0, 1], and labels `y` (n,), int64, on one device."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device."""
        return Split(self.x.to(device), self.y.to(device))

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (x, y), cut from the whole split on its device; the last may be smaller.

        Shuffled when a (CPU) generator is given. One permutation an epoch and one indexing a batch:
        far less work than a DataLoader, for data that fits on the device.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: it must be at least 1")
        order = None
        if generator is not None:
            order = torch.randperm(len(self), generator=generator).to(self.x.device)
        for i in range(0, len(self), batch_size):
            cut = slice(i, i + batch_size) if order is None else order[i : i + batch_size]
            yield self.x[cut], self.y[cut]

    def forever(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled epochs one after the other, without end."""
        while True:
            yield from self.batches(batch_size, generator)

    def loader(
        self,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        num_workers: int = 0,
    ) -> DataLoader:
        """An ordinary DataLoader over the split."""
        return DataLoader(
            TensorDataset(self.x, self.y),
            batch_size=batch_size,
            shuffle=shuffle,
            generator=generator,
            num_workers=num_workers,
        )


@dataclass(frozen=True)
class Dataset:
    """A data set in three splits. `name` says which it really is, `note` where it came from."""

    name: str
    note: str
    train: Split
    val: Split
    test: Split

    @property
    def n_features(self) -> int:
        """Numbers in one example."""
        return self.train.x[0].numel()

    @property
    def n_classes(self) -> int:
        """Number of classes; labels are 0 … n_classes − 1."""
        return int(self.train.y.max()) + 1

    def to(self, device: torch.device | str) -> Dataset:
        """The same data set on another device."""
        parts = {k: getattr(self, k).to(device) for k in ("train", "val", "test")}
        return replace(self, **parts)


def load(name: str = "mnist", seed: int = 0) -> Dataset:
    """Load a data set and print one line on what was used.

    "mnist" and "fashion_mnist" are read from the folder COURSE_DATA (torchvision's layout) or a
    cache folder, and downloaded through torchvision when they are not there. Files whose checksum
    is wrong are never used. Without a network the answer is scikit-learn's digits (`.name` says so).
    A second call in one process gives the same tensors: clone what you change in place.

    Args:
        name: "mnist", "fashion_mnist" or "digits".
        seed: fixes the split of the digits. MNIST's split is by place.

    Raises:
        ValueError: there is no data set of that name.
        RuntimeError: COURSE_DATA cannot be written and does not hold the data.
    """
    if name not in ("digits", *TORCHVISION):
        names = ", ".join(["digits", *TORCHVISION])
        raise ValueError(f"no data set {name!r}: choose one of {names}")
    data = _load(name, seed, os.environ.get("COURSE_DATA", ""))
    print(data.note)
    return data


TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
"""Our names of data sets, and torchvision's classes; one line adds one of MNIST's form."""


@functools.cache
def _load(name: str, seed: int, folder: str) -> Dataset:
    if name == "digits":
        return _digits(seed, "scikit-learn's digits: 1,797 handwritten digits of 8×8 pixels")
    kind = TORCHVISION[name]
    try:
        train_x, train_y, test_x, test_y = _read(kind, folder)
    except _Unavailable as e:
        return _digits(seed, f"{kind} {e}; using scikit-learn's digits (8×8 pixels) instead")
    return Dataset(
        name,
        f"{kind}: 55,000 images to train on, 5,000 to validate, 10,000 to test (28×28 pixels)",
        Split(train_x[HELD_OUT:], train_y[HELD_OUT:]),
        Split(train_x[:HELD_OUT], train_y[:HELD_OUT]),
        Split(test_x, test_y),
    )


class _Unavailable(Exception):
    """Why a data set cannot be had, as the end of a sentence."""


def data_folder() -> Path:
    """Where data sets are kept: COURSE_DATA, else a folder in the user's cache."""
    named = os.environ.get("COURSE_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named).expanduser() if named else cache / "training-from-scratch"


def inspect(name: str) -> dict[str, str]:
    """The files of a data set of torchvision's: each is "whole", "missing" or "damaged"."""
    import torchvision.datasets

    kind = TORCHVISION[name]
    found = {}
    for filename, md5 in getattr(torchvision.datasets, kind).resources:
        path = data_folder() / kind / "raw" / filename
        whole = _verified(path, md5) is not None
        found[filename] = "whole" if whole else "damaged" if path.exists() else "missing"
    return found


def _read(kind: str, folder: str) -> list[Tensor]:
    """Train images, train labels, test images, test labels."""
    import torchvision.datasets

    source = getattr(torchvision.datasets, kind)
    raw = data_folder() / kind / "raw"
    tensors = []
    for filename, md5 in source.resources:
        path = raw / filename
        data = _verified(path, md5)
        if data is None:
            _download(source.mirrors, path, md5, folder)
            data = _verified(path, md5)
            if data is None:
                raise _Unavailable(f"could not be stored in {raw}")
        tensors.append(_idx(gzip.decompress(data)))
    return tensors


def _verified(path: Path, md5: str) -> bytes | None:
    """The file's bytes if their checksum is right. Unpacked copies beside it have none: not read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if hashlib.md5(data, usedforsecurity=False).hexdigest() == md5 else None


def _download(mirrors: list[str], path: Path, md5: str, named: str) -> None:
    from torchvision.datasets.utils import download_url

    damaged = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as e:
        if not named:
            raise _Unavailable(f"is not here and {path.parent} cannot be written") from None
        what = f"{path.name} in it is damaged" if damaged else f"holds no {path.name}"
        raise RuntimeError(
            f"COURSE_DATA={named} cannot be written ({e.strerror}) and {what}: "
            "choose a folder that you can write to, or unset COURSE_DATA"
        ) from None
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        for mirror in mirrors if _online() else []:
            if not _answers(mirror + path.name):
                continue
            try:
                with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                    download_url(mirror + path.name, folder, path.name, md5)
                    os.replace(Path(folder) / path.name, path)
                return
            except (OSError, RuntimeError, http.client.HTTPException):
                continue
    finally:
        socket.setdefaulttimeout(before)
    _online.offline = True
    reason = "could not be downloaded (is there a network?)"
    raise _Unavailable(f"file {path.name} is damaged and {reason}" if damaged else reason)


def _answers(url: str) -> bool:
    """Whether a server answers in time. In a thread, for no timeout bounds the look-up of a name."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # an answer all the same
        except (OSError, http.client.HTTPException):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return answered.is_set()


def _online() -> bool:
    """One failed attempt a process is enough: the next load does not wait again."""
    return not getattr(_online, "offline", False)


def _idx(data: bytes) -> Tensor:
    """Images (n, 1, H, W) in [0, 1], or labels (n,), from the IDX format (LeCun's MNIST page)."""
    dims = data[3]
    shape = np.frombuffer(data, ">u4", dims, 4).tolist()
    values = torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * dims).copy())
    values = values.reshape(shape)
    return values.long() if dims == 1 else values.unsqueeze(1).float() / 255


def _digits(seed: int, note: str) -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(bunch.target, dtype=torch.int64)
    rest, test = train_test_split(np.arange(len(y)), test_size=360, random_state=seed, stratify=y)
    train, val = train_test_split(rest, test_size=180, random_state=seed, stratify=y[rest])
    return Dataset("digits", note, *(Split(x[i], y[i]) for i in (train, val, test)))
