"""Rebuild a submission from the release: only what the learner wrote is taken over."""

from __future__ import annotations

import ast
import copy

import nbformat
from nbformat import NotebookNode

from course.check.notebook import grade_cells

ROLE = "course"
"""Cell metadata key: {"role": "setup" | "answer" | "check" | "added" | "chapter"}."""


def rebuild(release: NotebookNode, submitted: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The release with the submission's answers, and cells that the learner added in their place.

    Answers are found by grade_id; where an editor lost those, by the name they define. Everything
    else of the release stands as released, so deleted, edited or duplicated check cells cost nothing.

    Returns:
        The rebuilt notebook, each cell with its role in its metadata, and a line for each repair.
    """
    nb = copy.deepcopy(release)
    answers, checks = grade_cells(nb)
    found, found_checks = grade_cells(submitted)
    notes = []
    taken: set[int] = set()
    for name, cell in answers.items():
        source = found.get(name)
        if source is None:
            source = _defining(name, submitted)
            if source is not None:
                notes.append(f"{name}: the answer's id was lost; found by its name")
        if source is None:
            notes.append(f"{name}: no answer cell in the submission")
        else:
            taken.add(id(source))
            cell.source = str(source.get("source", ""))
    for name, cell in checks.items():
        if name not in found_checks:
            notes.append(f"{name}: the check cell was missing and was put back")
        elif _same(found_checks[name].source) != _same(cell.source):
            notes.append(f"{name}: the check cell was edited and was put back")
    _mark(nb)
    _add_learners_cells(nb, submitted, taken)
    return nb, notes


def _mark(nb: NotebookNode) -> None:
    code = [c for c in nb.cells if c.cell_type == "code"]
    for i, cell in enumerate(code):
        meta = cell.metadata.get("nbgrader", {})
        role = "setup" if i == 0 else "chapter"
        if meta.get("solution"):
            role = "answer"
        elif meta.get("grade"):
            role = "check"
        cell.metadata[ROLE] = {"role": role}


def _add_learners_cells(nb: NotebookNode, submitted: NotebookNode, taken: set[int]) -> None:
    by_id = {c.metadata.nbgrader.grade_id: c for c in nb.cells if "nbgrader" in c.metadata}
    by_source = {_same(c.source): c for c in nb.cells}
    anchor: NotebookNode | None = None
    for cell in submitted.cells:
        meta = cell.get("metadata", {}).get("nbgrader")
        grade_id = meta.get("grade_id") if isinstance(meta, dict) else None
        known = by_id.get(str(grade_id)) or by_source.get(_same(str(cell.get("source", ""))))
        if known is not None or id(cell) in taken:
            anchor = known if known is not None else anchor
            continue
        if cell.get("cell_type") != "code" or not str(cell.get("source", "")).strip():
            continue
        added = nbformat.v4.new_code_cell(str(cell.source), metadata={ROLE: {"role": "added"}})
        added["id"] = f"added-{len(nb.cells)}"
        # By identity: two cells with equal text compare equal.
        at = next((i for i, c in enumerate(nb.cells) if c is anchor), -1)
        nb.cells.insert(at + 1, added)
        anchor = added


def _defining(name: str, nb: NotebookNode) -> NotebookNode | None:
    for cell in nb.cells:
        if cell.get("cell_type") != "code" or name not in str(cell.get("source", "")):
            continue
        if isinstance(cell.get("metadata", {}).get("nbgrader"), dict):
            continue
        try:
            body = ast.parse(str(cell.source)).body
        except (SyntaxError, ValueError):
            continue
        if any(getattr(node, "name", None) == name for node in body):
            return cell
    return None


def _same(source: str) -> str:
    return "\n".join(line.rstrip() for line in str(source).strip().splitlines())
