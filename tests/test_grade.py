"""`course grade` and stock `nbgrader autograde` on a small assignment: the right points, in plain words."""

from __future__ import annotations

import copy
import csv
import json
import os
import sqlite3
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from course.author.source import chapter_notebook, chapter_paths
from course.check.bank import Right, Wrong, load
from course.check.notebook import grade_cells
from course.grade.run import GradeError, grade, submissions

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
CHAPTER = "13_first_training_run"
BANK = load(Path(__file__).parent / "mistakes" / f"{CHAPTER}.py")
POINTS = {"smooth": 1, "confusion_matrix": 1, "accuracy_interval": 1}


def bank(kind, exercise):
    return next(a for a in BANK if isinstance(a, kind) and a.exercise == exercise)


def _cell(source, **nbgrader):
    return new_code_cell(
        source,
        metadata={
            "nbgrader": {"schema_version": 3, "task": False, **nbgrader},
            "tags": ["raises-exception"],
        },
    )


@pytest.fixture(scope="module")
def source():
    cells = [
        new_code_cell(
            "import math\nimport numpy as np\nimport torch\nfrom course.check import check"
        )
    ]
    for name, points in POINTS.items():
        body = f"### BEGIN SOLUTION\n{bank(Right, name).code}\n### END SOLUTION"
        cells.append(_cell(body, grade_id=name, solution=True, grade=False, locked=False))
        checks = f'check("{name}")\n### BEGIN HIDDEN TESTS\ncheck("{name}", seed=99)\n### END HIDDEN TESTS'
        cells.append(
            _cell(
                checks,
                grade_id=f"check_{name}",
                solution=False,
                grade=True,
                locked=True,
                points=points,
            )
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def release(source):
    nb = copy.deepcopy(source)
    answers, checks = grade_cells(nb)
    for cell in answers.values():
        cell.source = "raise NotImplementedError"
    for name, cell in checks.items():
        cell.source = f'check("{name}")'
    return nb


def hand_in(folder, student, nb):
    path = folder / student / CHAPTER / f"{CHAPTER}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(nb if isinstance(nb, str) else nbformat.writes(nb), "utf-8")
    return path


def with_answers(release, **code):
    nb = copy.deepcopy(release)
    answers, _ = grade_cells(nb)
    for name, cell in answers.items():
        cell.source = code.get(name, bank(Right, name).code)
    return nb


@pytest.fixture(scope="module")
def results(tmp_path_factory, source, release):
    tmp = tmp_path_factory.mktemp("grade")
    folder = tmp / "submitted"
    wrong = bank(Wrong, "smooth")
    hand_in(folder, "perfect student", with_answers(release))
    hand_in(folder, "blank", release)
    hand_in(folder, "buggy", with_answers(release, smooth=wrong.code))
    hand_in(folder, "syntax", with_answers(release, smooth="def smooth(values, beta:\n    return"))
    hand_in(folder, "killer", with_answers(release, confusion_matrix="import os\nos._exit(0)"))
    hand_in(folder, "notjson", "{ this is not a notebook")
    colab = with_answers(release)
    colab.metadata = {"colab": {"provenance": []}, "kernelspec": {"name": "nosuchkernel"}}
    for cell in colab.cells:
        cell.pop("id", None)
        cell.metadata["colab"] = {}
    del colab.cells[2]
    hand_in(folder, "colab", colab)
    before = {p: p.read_bytes() for p in folder.rglob("*.ipynb")}
    rows = grade(folder, tmp / "out", lambda name: source, secret="a test's secret")
    assert {p: p.read_bytes() for p in folder.rglob("*.ipynb")} == before
    return tmp / "out", {(r.student, r.exercise): r for r in rows}


def points(results, student):
    return {name: results[1][student, name].points for name in POINTS}


def test_answered_is_full_and_released_is_nothing(results):
    assert points(results, "perfect student") == POINTS
    assert points(results, "blank") == dict.fromkeys(POINTS, 0)
    assert {results[1]["blank", n].status for n in POINTS} == {"unanswered"}
    assert {results[1]["perfect student", n].message for n in POINTS} == {""}


def test_a_mistake_costs_its_own_points_and_is_named(results):
    row = results[1]["buggy", "smooth"]
    assert (row.points, row.status) == (0, "failed")
    assert bank(Wrong, "smooth").says.lower() in row.message.lower()
    assert points(results, "buggy") == POINTS | {"smooth": 0}


def test_a_syntax_error_costs_its_own_points(results):
    row = results[1]["syntax", "smooth"]
    assert row.status == "crashed" and "SyntaxError" in row.message
    assert points(results, "syntax") == POINTS | {"smooth": 0}


def test_a_dead_kernel_is_no_full_score(results):
    assert points(results, "killer") == {"smooth": 1, "confusion_matrix": 0, "accuracy_interval": 0}
    assert results[1]["killer", "accuracy_interval"].status == "crashed"


def test_an_unreadable_notebook_is_named_and_the_rest_is_graded(results):
    assert points(results, "notjson") == dict.fromkeys(POINTS, 0)
    assert "not a valid notebook" in results[1]["notjson", "smooth"].message


def test_colabs_rewriting_an_unknown_kernel_and_a_deleted_check_cost_nothing(results):
    assert points(results, "colab") == POINTS


def test_the_csv_the_gradebook_and_the_feedback_agree(results):
    out, rows = results
    with (out / "grades.csv").open(encoding="utf-8") as f:
        table = list(csv.DictReader(f))
    columns = ["student", "chapter", "exercise", "points", "max_points", "status", "message"]
    assert list(table[0]) == columns
    assert len(table) == len(rows) == 7 * len(POINTS)
    db = sqlite3.connect(out / "gradebook.db")
    (total,) = db.execute("select sum(auto_score) from grade").fetchone()
    assert total == sum(float(r["points"]) for r in table)
    assert len(list((out / "feedback").rglob("*.html"))) == 7


def test_feedback_says_what_the_learner_is_told_and_shows_no_hidden_check(results):
    out, rows = results
    html = (out / "feedback" / "buggy" / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
    assert rows["buggy", "smooth"].message[:30] in html.replace("&#39;", "'")
    assert "a test's secret" not in html and "_answer(" not in html


def test_the_same_secret_gives_the_same_grades_and_keeps_a_grade_entered_by_hand(
    results, tmp_path, source, release
):
    out, _ = results
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{out / 'gradebook.db'}") as g:
        x = g.find_grade("check_smooth", CHAPTER, CHAPTER, "buggy")
        x.manual_score = 0.5
        g.db.commit()
    hand_in(tmp_path, "buggy", with_answers(release, smooth=bank(Wrong, "smooth").code))
    (row,) = (r for r in grade(tmp_path, out, lambda name: source) if r.exercise == "smooth")
    assert (row.points, row.status) == (0.5, "partial")


def stock(folder, chapter, source):
    """Points by student from nbgrader's own commands, on folder/submitted."""
    path = folder / "source" / chapter / f"{chapter}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(source, path)
    (folder / "nbgrader_config.py").write_text(
        "c = get_config()\nc.ExecutePreprocessor.timeout = 300\n"
    )
    env = os.environ | {
        "PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    }
    for command in ("generate_assignment", "autograde"):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", command, chapter, "--create", "--force"],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    db = sqlite3.connect(folder / "gradebook.db")
    return dict(
        db.execute(
            "select a.student_id, sum(g.auto_score) from grade g "
            "join submitted_notebook n on g.notebook_id = n.id "
            "join submitted_assignment a on n.assignment_id = a.id group by a.student_id"
        )
    )


def test_stock_nbgrader_gives_the_same_points(tmp_path, source, release):
    hand_in(tmp_path / "submitted", "perfect", with_answers(release))
    hand_in(tmp_path / "submitted", "blank", release)
    scores = stock(tmp_path, CHAPTER, source)
    assert scores == {"perfect": sum(POINTS.values()), "blank": 0}


@pytest.mark.parametrize("chapter", sorted(chapter_paths(ROOT)))
def test_answered_chapters_score_full_points_and_released_ones_none(tmp_path, chapter):
    """Through `course grade` and through stock nbgrader, which runs the whole chapter."""
    answered = chapter_notebook(chapter, ROOT)
    released = nbformat.read(ROOT / "notebooks" / chapter / f"{chapter}.ipynb", as_version=4)
    for student, nb in {"answered": answered, "released": released}.items():
        path = tmp_path / "submitted" / student / chapter / f"{chapter}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(nb, path)
    most = sum(c.metadata.nbgrader.points for c in grade_cells(released)[1].values())
    rows = grade(tmp_path / "submitted", tmp_path / "out", lambda name: answered)
    ours = {s: sum(r.points for r in rows if r.student == s) for s in ("answered", "released")}
    assert ours == {"answered": most, "released": 0}
    assert {r.status for r in rows if r.student == "released"} == {"unanswered"}
    assert stock(tmp_path, chapter, answered) == ours


def test_nothing_to_grade_is_said_in_one_line(tmp_path, source):
    with pytest.raises(GradeError, match="not a folder"):
        submissions(tmp_path / "missing")
    with pytest.raises(GradeError, match="expected STUDENT/"):
        submissions(tmp_path)
    hand_in(tmp_path, "a", new_notebook())
    with pytest.raises(GradeError, match="another folder"):
        grade(tmp_path, tmp_path, lambda name: source)

    def unknown(name):
        raise KeyError(name)

    with pytest.raises(GradeError, match="no chapter"):
        grade(tmp_path, tmp_path.parent / "elsewhere", unknown)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a valid notebook"),
        (
            json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
            "no exercises",
        ),
    ],
)
def test_course_check_refuses_bad_notebooks_in_one_line(tmp_path, text, says):
    path = tmp_path / "x.ipynb"
    path.write_text(text)
    done = _course("check", str(path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and says in done.stderr


def _course(*args):
    return subprocess.run(
        [sys.executable, "-m", "course.cli", *args], capture_output=True, text=True
    )


def test_course_check_prints_points_and_exits_0_only_when_all_pass(tmp_path, release):
    path = hand_in(tmp_path, "me", with_answers(release))
    before = path.read_bytes()
    done = _course("check", str(path), "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)["exercises"]
    assert {r["exercise"]: r["points"] for r in rows} == POINTS
    assert path.read_bytes() == before


def test_course_check_names_an_unknown_kernel_a_syntax_error_and_a_deleted_check(tmp_path, release):
    nb = with_answers(release)
    nb.metadata.kernelspec.name = "nosuchkernel"
    done = _course("check", str(hand_in(tmp_path, "kernel", nb)))
    assert done.returncode == 1 and "'nosuchkernel', which is not installed" in done.stderr
    nb = with_answers(release, smooth="def smooth(:")
    del nb.cells[4]
    done = _course("check", str(hand_in(tmp_path, "broken", nb)), "--json")
    assert done.returncode == 1
    assert "syntax error" in done.stderr
    assert "check cell of confusion_matrix was deleted" in done.stderr
    rows = json.loads(done.stdout)["exercises"]
    assert {r["exercise"]: r["points"] for r in rows} == {
        "smooth": 0,
        "confusion_matrix": 0,
        "accuracy_interval": 1,
    }
