"""Execute a chapter's answered source, with a cache that knows what the outputs depend on."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course.author.errors import AuthorError
from course.author.source import AUTHOR, Chapter
from course.check.face import REPORT_MIME
from course.data import data_folder

CELL_SECONDS = 600
GLUED = "application/papermill.record/text/plain"
# Rooms that stand after the notebooks: nothing that a chapter runs can depend on them.
_AFTER = {"author", "grade", "cli.py", "doctor.py"}


@dataclass(frozen=True)
class Executed:
    """A chapter with its outputs, and how they came about."""

    chapter: Chapter
    nb: NotebookNode
    seconds: float
    cached: bool


def fingerprint(root: Path) -> str:
    """What every chapter's outputs depend on besides its own code, as a short hash.

    The lock, the library, the measured results, the data sets at hand, the interpreter and torch, and
    the variables that steer a run.
    """
    digest = hashlib.sha256()

    def add(*words: object) -> None:
        digest.update("\0".join(map(str, words)).encode() + b"\n")

    add(sys.version, *(version(p) for p in ("torch", "torchvision", "numpy", "matplotlib")))
    for name in ("COURSE_DEVICE", "COURSE_SEED"):
        add(name, os.environ.get(name, ""))
    library = root / "src" / "course"
    for path in (root / "requirements.txt", *_files(library), *_files(root / "benchmarks/results")):
        if path.is_relative_to(library) and path.relative_to(library).parts[0] in _AFTER:
            continue
        if path.is_file():
            add(path.relative_to(root), hashlib.sha256(path.read_bytes()).hexdigest())
    folder = data_folder()
    for path in _files(folder) if folder.is_dir() else []:
        # Names and sizes only: data sets are large, and checked by checksum when loaded.
        if path.suffix == ".gz":
            add(path.relative_to(folder), path.stat().st_size)
    return digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(
            p.startswith(".") or p == "__pycache__" for p in path.relative_to(folder).parts
        )
        if path.is_file() and not hidden:
            yield path


def execute(chapter: Chapter, root: Path) -> Executed:
    """Run a chapter from top to bottom in one kernel, or take the outputs from the cache.

    Raises:
        AuthorError: a cell failed; the line names chapter, cell and error.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    nb = _bare(chapter)
    cache = get_cache(root / "_build" / "executed" / fingerprint(root))
    start = time.perf_counter()
    try:
        _, done = cache.merge_match_into_notebook(nb, cell_meta=())
        cached = True
    except KeyError:
        done, cached = _run(chapter, nb), False
    seconds = time.perf_counter() - start
    if not cached:
        cache.cache_notebook_bundle(
            CacheBundleIn(done, str(chapter.path), data={"seconds": seconds}),
            check_validity=False,
            overwrite=True,
        )
    return Executed(chapter, done, seconds, cached)


def _bare(chapter: Chapter) -> NotebookNode:
    """Only what the outputs depend on: the cache's key is made of this."""
    nb = copy.deepcopy(chapter.nb)
    for cell in nb.cells:
        cell.metadata = nbformat.from_dict({})
    return nb


def _run(chapter: Chapter, nb: NotebookNode) -> NotebookNode:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    at = 0

    def started(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        at = cell_index

    def failed(words: str) -> AuthorError:
        cell = chapter.nb.cells[at]
        first = next((x.strip() for x in cell.source.split("\n") if x.strip()), "")
        line = cell.metadata[AUTHOR]["line"]
        source = "/".join(chapter.path.parts[-3:])
        return AuthorError(f"{chapter.name}, cell {at + 1} ({first}): {words} [{source}:{line}]")

    with tempfile.TemporaryDirectory(prefix="chapter-") as folder:
        env = {
            **os.environ,
            "COURSE_PAGE": "1",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        if env.get("COURSE_DATA"):
            # The chapter runs in another folder: a relative name would point elsewhere.
            env["COURSE_DATA"] = str(Path(env["COURSE_DATA"]).resolve())
        # Over TCP the kernel warns, and anyone on the machine could talk to it.
        ipc = {"transport": "ipc", "connection_file": f"{folder}/.kernel.json"}
        client = NotebookClient(
            nb,
            kernel_name="python3",
            config=Config(KernelManager=ipc),
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": folder}},
            on_cell_start=started,
            record_timing=False,
        )
        try:
            client.execute(env=env)
        except CellTimeoutError:
            raise failed(f"took longer than {CELL_SECONDS} s") from None
        except CellExecutionError as e:
            raise failed(f"{e.ename}: {e.evalue}") from None
        except DeadKernelError:
            raise failed("the kernel died") from None
    return nb


def outputs(done: Executed) -> list[list[Any]]:
    """The outputs of each code cell, as a page shows them."""
    return [_for_page(cell.outputs) for cell in done.nb.cells if cell.cell_type == "code"]


def _for_page(found: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for output in copy.deepcopy(found):
        data = output.get("data", {})
        if "text/html" in data:
            # MyST-NB would prefer the widget, which needs a kernel.
            data.pop("application/vnd.jupyter.widget-view+json", None)
        report = data.pop(REPORT_MIME, None)
        if GLUED in data:
            # A glued NumPy number reads np.float64(0.5), which a page cannot format.
            data[GLUED] = re.sub(r"^np\.\w+\((.+)\)$", r"\1", data[GLUED])
        last = kept[-1] if kept else None
        if last and output.get("name") and output.get("name") == last.get("name"):
            last.text += output.text  # one stream came in pieces
            continue
        # A hidden check repeats what the open one has said.
        if report is None or output not in kept:
            kept.append(output)
    return kept
