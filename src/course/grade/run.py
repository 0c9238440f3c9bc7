"""Grade a folder of submissions: what `course grade` does."""

from __future__ import annotations

import csv
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course.author.release import reason, scripts_on_path
from course.check.notebook import QUIET_KERNEL, BadNotebook, grade_cells, outcome, read
from course.grade.rebuild import rebuild

CELL_SECONDS = 120


class GradeError(Exception):
    """Grading cannot start; the text is one line that says what to do."""


@dataclass(frozen=True)
class Grade:
    """One row of grades.csv: one student, one exercise."""

    student: str
    chapter: str
    exercise: str
    points: float
    max_points: float
    status: str
    message: str


@dataclass(frozen=True)
class Submission:
    """One notebook handed in: SUBMITTED/STUDENT/CHAPTER/CHAPTER.ipynb."""

    student: str
    chapter: str
    path: Path


def submissions(folder: Path, chapter: str | None = None) -> list[Submission]:
    """The submissions below `folder`, by student and chapter. Raises GradeError."""
    if not folder.is_dir():
        raise GradeError(f"{folder} is not a folder: give the one that holds STUDENT/CHAPTER/")
    found = []
    for path in sorted(folder.glob("*/*/*.ipynb")):
        student, name = path.parts[-3], path.parts[-2]
        if path.stem == name and chapter in (None, name) and not path.is_symlink():
            found.append(Submission(student, name, path))
    if not found:
        what = f"{chapter}/{chapter}" if chapter else "CHAPTER/CHAPTER"
        raise GradeError(f"no submissions in {folder}: expected STUDENT/{what}.ipynb")
    return found


def grade(
    submitted: Path,
    out: Path,
    sources: Callable[[str], NotebookNode],
    *,
    chapter: str | None = None,
    secret: str | None = None,
    progress: Callable[[Submission, list[Grade]], None] = lambda s, g: None,
) -> list[Grade]:
    """Grade every submission with nbgrader; judge in this process on cases that the secret draws.

    Args:
        submitted: folder of STUDENT/CHAPTER/CHAPTER.ipynb. It is only read.
        out: receives gradebook.db, grades.csv, feedback/, autograded/ and an nbgrader_config.py
            with which formgrader opens the same gradebook.
        sources: gives a chapter's source notebook, answers included. Raises KeyError.
        chapter: grade this chapter only.
        secret: draws the graded cases; without it the one kept in `out`, or a fresh one.
        progress: called after each submission with its rows.

    Raises:
        GradeError: there is nothing to grade, or `out` cannot be used.
    """
    found = submissions(submitted, chapter)
    if out.resolve() == submitted.resolve() or out.resolve() in submitted.resolve().parents:
        raise GradeError(f"--out {out} holds the submissions: give another folder")
    course = _Course(out, _secret(out, secret))
    rows: list[Grade] = []
    for name in dict.fromkeys(s.chapter for s in found):
        try:
            course.add(name, sources(name))
        except KeyError:
            raise GradeError(f"there is no chapter {name!r} in solutions/") from None
    for submission in found:
        with warnings.catch_warnings():
            # SQLAlchemy warns about nbgrader's own use of it, nbformat about cells without ids.
            warnings.simplefilter("ignore")
            new = list(course.grade(submission))
        rows += new
        progress(submission, new)
    write_csv(out / "grades.csv", rows)
    return rows


def write_csv(path: Path, rows: list[Grade]) -> None:
    """Write grades.csv, whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, [x.name for x in fields(Grade)])
        writer.writeheader()
        writer.writerows(asdict(r) for r in rows)
    partial.replace(path)


def _secret(out: Path, given: str | None) -> str:
    try:
        out.mkdir(parents=True, exist_ok=True)
        kept = out / "secret.txt"
        if given is None and kept.exists():
            return kept.read_text().strip()
        secret = given or secrets.token_hex(32)
        kept.touch(mode=0o600)
        kept.write_text(secret + "\n")
    except OSError as e:
        raise GradeError(f"{out} cannot be written ({e.strerror}): give another --out") from None
    return secret


class _Course:
    """An nbgrader course in the output folder."""

    def __init__(self, out: Path, secret: str) -> None:
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config

        from course.grade.execute import ExecuteAndJudge

        self.out = out.resolve()
        config = Config()
        config.CourseDirectory.root = str(self.out)
        config.CourseDirectory.db_url = f"sqlite:///{self.out / 'gradebook.db'}"
        config.ExecuteAndJudge.secret = secret
        config.ExecuteAndJudge.timeout = CELL_SECONDS
        config.ExecuteAndJudge.extra_arguments = list(QUIET_KERNEL)
        config.Autograde.autograde_preprocessors = [
            ExecuteAndJudge,
            "nbgrader.preprocessors.LimitOutput",
            "nbgrader.preprocessors.SaveAutoGrades",
            "nbgrader.preprocessors.AssignLatePenalties",
            "nbgrader.preprocessors.CheckCellMetadata",
        ]
        self.api = NbGraderAPI(config=config)
        self.api.log.setLevel("CRITICAL")
        self.releases: dict[str, NotebookNode] = {}
        # formgrader, started in the output folder, finds the gradebook by itself.
        (self.out / "nbgrader_config.py").write_text(
            "c = get_config()  # noqa: F821\nc.CourseDirectory.root = '.'\n"
        )

    def add(self, chapter: str, source: NotebookNode) -> None:
        """Register a chapter in the gradebook, from its source."""
        folder = self.out / "source" / chapter
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(source, folder / f"{chapter}.ipynb")
        scripts_on_path()
        self._must(self.api.generate_assignment(chapter, force=True, create=True), chapter)
        self.releases[chapter] = read(self.out / "release" / chapter / f"{chapter}.ipynb")

    def grade(self, s: Submission) -> Iterator[Grade]:
        """Rebuild, run and judge one submission, and write its feedback."""
        release = self.releases[s.chapter]
        unreadable = ""
        try:
            nb, _ = rebuild(release, read(s.path))
        except BadNotebook as e:
            unreadable = str(e)
            nb, _ = rebuild(release, release)
        folder = self.out / "submitted" / s.student / s.chapter
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, folder / f"{s.chapter}.ipynb")
        stamp = s.path.parent / "timestamp.txt"
        if stamp.is_file() and not stamp.is_symlink() and stamp.stat().st_size < 200:
            shutil.copy(stamp, folder / "timestamp.txt")
        run = self.api.autograde(s.chapter, s.student, force=True, create=True)
        done = self.out / "autograded" / s.student / s.chapter / f"{s.chapter}.ipynb"
        graded = read(done) if run["success"] and done.exists() else release
        if run["success"]:
            self.api.generate_feedback(s.chapter, s.student, force=True)
        scores = self._scores(s)
        for name, cell in grade_cells(graded)[1].items():
            status, message = outcome(cell)
            if unreadable:
                status, message = "crashed", unreadable
            elif not run["success"]:
                status, message = "crashed", reason(run)
            points, most = scores.get(name, (0.0, float(cell.metadata.nbgrader.points)))
            yield Grade(
                s.student, s.chapter, name, points, most, _status(status, points, most), message
            )

    def _scores(self, s: Submission) -> dict[str, tuple[float, float]]:
        from nbgrader.api import MissingEntry

        with self.api.gradebook as g:
            try:
                notebook = g.find_submission_notebook(s.chapter, s.chapter, s.student)
            except MissingEntry:
                return {}
            return {x.name.removeprefix("check_"): (x.score, x.max_score) for x in notebook.grades}

    @staticmethod
    def _must(result: dict[str, Any], what: str) -> None:
        if not result["success"]:
            raise GradeError(f"nbgrader could not take {what}: {reason(result)}")


def _status(status: str, points: float, most: float) -> str:
    # A grade entered by hand in formgrader outranks what the check said.
    if 0 < points < most:
        return "partial"
    return "passed" if points >= most > 0 else ("failed" if status == "passed" else status)
