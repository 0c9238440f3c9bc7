"""A submission is rebuilt from the release: only what the learner wrote is taken over."""

from __future__ import annotations

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course.grade.rebuild import ROLE, rebuild


def _cell(source, **nbgrader):
    meta = {"nbgrader": {"schema_version": 3, "task": False, **nbgrader}} if nbgrader else {}
    return new_code_cell(source, metadata=meta)


def _exercise(name):
    return [
        new_markdown_cell(f"### {name}"),
        _cell(
            f"def {name}(x):\n    raise NotImplementedError",
            grade_id=name,
            solution=True,
            grade=False,
            locked=False,
        ),
        _cell(
            f'check("{name}")',
            grade_id=f"check_{name}",
            solution=False,
            grade=True,
            locked=True,
            points=2,
        ),
    ]


@pytest.fixture
def release():
    setup = _cell("from course.check import check")
    return new_notebook(
        cells=[setup, *_exercise("first"), _cell("plot()"), *_exercise("second")],
        metadata={"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}},
    )


def answered(release):
    nb = copy.deepcopy(release)
    nb.cells[2].source = "def first(x): return 1"
    nb.cells[6].source = "def second(x): return 2"
    return nb


def sources(nb, role):
    return [c.source for c in nb.cells if c.metadata.get(ROLE, {}).get("role") == role]


def test_answers_are_taken_over_and_the_rest_stands(release):
    nb, notes = rebuild(release, answered(release))
    assert sources(nb, "answer") == ["def first(x): return 1", "def second(x): return 2"]
    assert sources(nb, "check") == ['check("first")', 'check("second")']
    assert sources(nb, "added") == [] and notes == []
    nbformat.validate(nb)


@pytest.mark.parametrize("harm", ["deleted", "edited", "emptied", "doubled"])
def test_harm_to_check_cells_costs_nothing(release, harm):
    nb = answered(release)
    check = nb.cells[3]
    if harm == "deleted":
        nb.cells.remove(check)
    elif harm == "edited":
        check.source = "pass"
    elif harm == "emptied":
        check.source = ""
    else:
        nb.cells.insert(4, copy.deepcopy(check))
    rebuilt, notes = rebuild(release, nb)
    assert sources(rebuilt, "check") == ['check("first")', 'check("second")']
    assert sources(rebuilt, "answer")[0] == "def first(x): return 1"
    assert bool(notes) == (harm != "doubled")


def test_colabs_rewriting_costs_nothing(release):
    nb = answered(release)
    nb.metadata = {"colab": {"provenance": []}, "kernelspec": {"name": "ir", "display_name": "R"}}
    for i, cell in enumerate(nb.cells):
        cell.pop("id", None)
        cell.metadata["id"] = f"abc{i}"
        cell.metadata["colab"] = {"base_uri": "https://localhost:8080/"}
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="x")]
            cell.execution_count = 3
    rebuilt, notes = rebuild(release, nb)
    assert sources(rebuilt, "answer") == ["def first(x): return 1", "def second(x): return 2"]
    assert rebuilt.metadata.kernelspec.name == "python3" and notes == []


def test_an_answer_whose_id_was_lost_is_found_by_its_name(release):
    nb = answered(release)
    nb.cells[2].metadata = {}
    rebuilt, notes = rebuild(release, nb)
    assert sources(rebuilt, "answer")[0] == "def first(x): return 1"
    assert sources(rebuilt, "added") == [] and "first" in notes[0]


def test_a_learners_helper_cell_is_kept_in_its_place(release):
    nb = answered(release)
    nb.cells.insert(5, new_code_cell("def helper(): return 3"))
    nb.cells[7].source = "def second(x): return helper()"
    rebuilt, _ = rebuild(release, nb)
    order = [c.source for c in rebuilt.cells]
    assert sources(rebuilt, "added") == ["def helper(): return 3"]
    assert order.index("plot()") < order.index("def helper(): return 3")
    assert order.index("def helper(): return 3") < order.index("def second(x): return helper()")


def test_a_helper_above_everything_and_two_alike_are_kept(release):
    nb = answered(release)
    nb.cells.insert(0, new_code_cell("a = 1"))
    nb.cells.insert(3, new_code_cell("a += 1"))
    nb.cells.insert(4, new_code_cell("a += 1"))
    rebuilt, _ = rebuild(release, nb)
    assert sources(rebuilt, "added") == ["a = 1", "a += 1", "a += 1"]


def test_the_submission_and_the_release_are_left_as_they_were(release):
    nb = answered(release)
    before = copy.deepcopy(release), copy.deepcopy(nb)
    rebuild(release, nb)
    assert (release, nb) == before


def test_an_empty_submission_is_the_release(release):
    rebuilt, notes = rebuild(release, new_notebook())
    assert [c.source for c in rebuilt.cells] == [c.source for c in release.cells]
    assert len(notes) == 4
