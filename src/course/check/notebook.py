"""Run a whole notebook's checks: what `course check` does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.check.face import REPORT_MIME

MAX_MEGABYTES = 32
QUIET_KERNEL = ("--log-level=40",)
"""Kernels warn about TCP on every start; only their errors are news."""


class BadNotebook(Exception):
    """A notebook that cannot be used; the text is one line that says what to do."""


@dataclass(frozen=True)
class Row:
    """One exercise of a notebook: its points and what its check said."""

    exercise: str
    points: float
    max_points: float
    status: str
    message: str


def read(path: Path) -> NotebookNode:
    """Read a notebook in nbformat 4. Raises BadNotebook."""
    try:
        if path.stat().st_size > MAX_MEGABYTES * 2**20:
            raise BadNotebook(
                f"{path.name} is larger than {MAX_MEGABYTES} MB: clear its outputs and save it"
            )
        nb = nbformat.reads(path.read_text("utf-8"), as_version=4)
    except FileNotFoundError:
        raise BadNotebook(f"{path} does not exist") from None
    except OSError as e:
        raise BadNotebook(f"{path.name} cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise BadNotebook(
            f"{path.name} is not UTF-8 text: download it again as a notebook"
        ) from None
    except Exception as e:
        reason = " ".join(str(e).split())[:120]
        raise BadNotebook(
            f"{path.name} is not a valid notebook ({reason}): open it in JupyterLab and save it again"
        ) from None
    if not isinstance(nb.get("cells"), list):
        raise BadNotebook(f"{path.name} has no cells: it is not a notebook")
    return nb


def grade_cells(nb: NotebookNode) -> tuple[dict[str, NotebookNode], dict[str, NotebookNode]]:
    """The answer cells and the check cells of a notebook, by exercise. The first of a name counts."""
    answers: dict[str, NotebookNode] = {}
    checks: dict[str, NotebookNode] = {}
    for cell in nb.cells:
        meta = cell.get("metadata", {}).get("nbgrader")
        if not isinstance(meta, dict) or cell.get("cell_type") != "code":
            continue
        name = str(meta.get("grade_id", ""))
        if meta.get("solution"):
            answers.setdefault(name, cell)
        elif meta.get("grade"):
            checks.setdefault(name.removeprefix("check_"), cell)
    return answers, checks


def syntax_errors(nb: NotebookNode) -> list[str]:
    """One line for each code cell that Python cannot read, after IPython's own syntax."""
    from IPython.core.inputtransformer2 import TransformerManager

    lines = []
    for i, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code" and not cell.source.lstrip().startswith("%%"):
            try:
                compile(TransformerManager().transform_cell(cell.source), "cell", "exec", 0x2000)
            except SyntaxError as e:
                lines.append(
                    f"cell {i} has a syntax error: {e.msg} at `{(e.text or '').strip()[:60]}`"
                )
    return lines


def check_notebook(path: Path, *, timeout: int = 600) -> tuple[list[Row], list[str]]:
    """Execute a notebook and collect what its check cells say. The file is not changed.

    Args:
        path: a released notebook, with answers or without.
        timeout: seconds for each cell; a cell that takes longer is interrupted.

    Returns:
        A row per exercise in the notebook's order, and lines about the notebook itself
        (syntax errors, deleted check cells).

    Raises:
        BadNotebook: it cannot be read, has no checks, or names a kernel that is not there.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    nb = read(path)
    answers, checks = grade_cells(nb)
    if not answers and not checks:
        raise BadNotebook(f"{path.name} holds no exercises: give a notebook from notebooks/")
    kernel = nb.metadata.get("kernelspec", {}).get("name", "python3")
    if kernel not in KernelSpecManager().find_kernel_specs():
        raise BadNotebook(
            f"{path.name} asks for the kernel {kernel!r}, which is not installed: "
            "choose Kernel > Change Kernel > Python 3 in JupyterLab and save"
        )
    notes = syntax_errors(nb)
    client = NotebookClient(
        nb,
        timeout=timeout,
        interrupt_on_timeout=True,
        allow_errors=True,
        kernel_name=kernel,
        extra_arguments=list(QUIET_KERNEL),
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )
    try:
        client.execute()
    except DeadKernelError:
        notes.append("the kernel died while running the notebook: what follows was not run")
    rows = []
    for name in dict.fromkeys([*answers, *checks]):
        cell = checks.get(name)
        if cell is None:
            notes.append(
                f"the check cell of {name} was deleted: copy it back from the released notebook "
                "(your answer is untouched)"
            )
            rows.append(Row(name, 0, 0, "failed", "Its check cell is missing."))
            continue
        most = float(cell.metadata.nbgrader.get("points", 0))
        status, message = outcome(cell)
        rows.append(Row(name, most if status == "passed" else 0.0, most, status, message))
    return rows, notes


def outcome(cell: NotebookNode) -> tuple[str, str]:
    """Status and message of an executed check cell, from its outputs."""
    status, message = "", ""
    for output in cell.get("outputs", []):
        if output.output_type == "display_data" and REPORT_MIME in output.data:
            report = output.data[REPORT_MIME]
            report = json.loads(report) if isinstance(report, str) else report
            # Of several reports in one cell (a hidden check follows the open one) the worst counts.
            if not status or report["status"] != "passed":
                status, message = report["status"], report["message"]
        elif output.output_type == "error" and status in ("", "passed"):
            status, message = "crashed", f"{output.ename}: {output.evalue}"
    return (status, message) if status else ("crashed", "The check did not run.")
