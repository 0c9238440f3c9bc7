"""What learners get: released through nbgrader, without answers, the same each time, safe through Colab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from course.author import AuthorError, site
from course.author.errors import UnknownChapter
from course.author.release import release, stale
from course.author.source import chapter_paths, read_chapter, strip
from course.check.notebook import grade_cells
from course.grade.rebuild import rebuild

ROOT = Path(__file__).parents[1]
TOY = (Path(__file__).parent / "fixtures" / "author" / "90_toy.md").read_text("utf-8")
ANSWER = "the_half_of_everything = x * 0.5 + 0.0 * x"


def write(root: Path, name: str, text: str) -> Path:
    path = root / "solutions" / name / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def a_course(folder: Path) -> Path:
    for name in ("_config.yml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, folder)
    (folder / "book").mkdir()
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    write(folder, "90_toy", TOY)
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A course with the toy chapter, released."""
    folder = a_course(tmp_path_factory.mktemp("course"))
    assert release(None, folder) == [folder / "notebooks/90_toy/90_toy.ipynb"]
    return folder


def notebook(root: Path, folder: str = "notebooks") -> nbformat.NotebookNode:
    nb = nbformat.read(root / folder / "90_toy" / "90_toy.ipynb", as_version=4)
    nbformat.validate(nb)
    return nb


def test_no_answer_no_hidden_check_no_output_no_other_file(released):
    chapter = read_chapter(released / "solutions/90_toy/90_toy.md")
    assert not list(site.given_away(released / "notebooks", [chapter]))
    assert [p.name for p in (released / "notebooks").rglob("*") if p.is_file()] == ["90_toy.ipynb"]
    assert not list(released.rglob("gradebook.db"))
    for cell in notebook(released).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_the_answered_notebook_holds_the_answers(released):
    text = "\n".join(c.source for c in notebook(released, "solutions").cells)
    assert ANSWER in text and "seed=7321" in text


def test_nbgrader_removes_what_the_library_expects_it_to_remove(released):
    answered, nb = notebook(released, "solutions"), notebook(released)
    for before, after in zip(answered.cells, nb.cells, strict=True):
        if before.cell_type == "code":
            assert strip(before.source) == after.source


def test_released_again_it_is_the_same_to_the_byte(released):
    path = released / "notebooks/90_toy/90_toy.ipynb"
    before = path.read_bytes()
    release(["90_toy"], released)
    assert path.read_bytes() == before
    assert stale(released) == []


def test_a_release_reads_well_where_myst_is_not_known(released):
    nb = notebook(released)
    text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    assert (
        "{term}" not in text
        and "{cite}" not in text
        and "{glue" not in text
        and "{quiz}" not in text
    )
    assert "*momentum*" in text and "(Kingma and Ba, 2015)" in text and "a number `total`" in text
    assert text.count("<details>") == 2
    title = nb.cells[0].source.split("\n")
    assert title[0].startswith("# ")
    assert "[Open in Colab](https://colab.research.google.com/github/" in title[2]
    assert "/book/chapters/90_toy.html)" in title[2]


def test_run_all_goes_on_and_colab_installs_the_course(released):
    code = [c for c in notebook(released).cells if c.cell_type == "code"]
    assert code[0].source.startswith("try:\n    import course\nexcept ModuleNotFoundError:")
    assert "%pip install -q git+https://github.com/" in code[0].source
    allowed = [c for c in code if "raises-exception" in c.metadata.get("tags", [])]
    expected = ["check_toy_halve", "check_toy_twice"]
    assert [c.metadata.nbgrader.grade_id for c in allowed if "nbgrader" in c.metadata] == expected
    assert [c for c in allowed if "total = toy_halve" in c.source]
    assert len(allowed) == 3


def through_colab(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """What Colab saves: no cell ids, metadata of its own, outputs, another kernelspec."""
    plain = json.loads(nbformat.writes(nb))
    for i, cell in enumerate(plain["cells"]):
        cell.pop("id", None)
        cell["metadata"] = {**cell["metadata"], "id": f"Xy{i}", "outputId": "3f1c-aa"}
        if cell["cell_type"] == "code":
            cell["execution_count"] = i
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": ["hello\n"]}]
    plain["metadata"] = {
        "colab": {"provenance": [], "toc_visible": True},
        "kernelspec": {"display_name": "Python 3", "name": "python3"},
        "language_info": {"name": "python"},
        "accelerator": "GPU",
    }
    plain["nbformat_minor"] = 0
    return nbformat.reads(json.dumps(plain), as_version=4)


def test_answers_survive_colab(released):
    nb = notebook(released)
    answered, _ = grade_cells(nb)
    answered["toy_halve"].source = "def toy_halve(x):\n    return x / 2"
    back = through_colab(nb)
    answers, checks = grade_cells(back)
    assert list(answers) == list(checks) == ["toy_halve", "toy_twice"]
    assert "return x / 2" in answers["toy_halve"].source
    rebuilt, notes = rebuild(notebook(released), back)
    assert notes == []
    assert [c.source for c in rebuilt.cells] == [c.source for c in nb.cells]


# --- refusals leave everything else alone


def test_a_chapter_with_a_defect_keeps_its_old_release_and_the_others_are_released(tmp_path):
    root = a_course(tmp_path)
    write(root, "91_other", TOY.replace("toy_", "other_"))
    release(None, root)
    before = (root / "notebooks/90_toy/90_toy.ipynb").read_bytes()
    write(root, "90_toy", TOY.replace("    ### END SOLUTION\n", ""))
    write(root, "91_other", TOY.replace("toy_", "other_").replace("## Drawing", "## Painting"))
    with pytest.raises(
        AuthorError, match=r"90_toy\.md:\d+: this solution region is not closed"
    ) as e:
        release(None, root)
    assert (root / "notebooks/90_toy/90_toy.ipynb").read_bytes() == before
    other = root / "notebooks/91_other/91_other.ipynb"
    assert e.value.done == (other,) and "Painting" in other.read_text()
    assert not list(root.rglob("*.partial"))
    (root / "notebooks/92_gone").mkdir()
    (root / "notebooks/92_gone/92_gone.ipynb").write_text("{}")
    lines = stale(root)
    assert any("90_toy.md" in line for line in lines)
    assert any("92_gone" in line and "no source" in line for line in lines)
    write(root, "90_toy", TOY.replace("## Drawing", "## Sketching"))
    assert any("90_toy: the released notebook is stale" in line for line in stale(root))


def test_an_unknown_chapter_writes_nothing(tmp_path):
    root = a_course(tmp_path)
    with pytest.raises(
        UnknownChapter, match=r"no chapter '99_none' in solutions/; there are: 90_toy"
    ):
        release(["90_toy", "99_none"], root)
    assert not (root / "notebooks").exists()


@pytest.mark.slow
def test_stock_nbgrader_generates_the_same_and_does_not_copy_the_source(released, tmp_path):
    shutil.copytree(released, tmp_path / "stock")
    root = tmp_path / "stock"
    mine = (root / "notebooks/90_toy/90_toy.ipynb").read_bytes()
    shutil.rmtree(root / "notebooks")
    env = os.environ | {"PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]}
    command = [
        sys.executable,
        "-m",
        "nbgrader",
        "generate_assignment",
        "90_toy",
        "--create",
        "--force",
    ]
    run = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert [p.name for p in (root / "notebooks").rglob("*") if p.is_file()] == ["90_toy.ipynb"]
    stock = nbformat.read(root / "notebooks/90_toy/90_toy.ipynb", as_version=4)
    assert stock == nbformat.reads(mine.decode(), as_version=4)


# --- this course


def test_the_committed_notebooks_are_current():
    assert stale(ROOT) == []


def test_no_answer_can_be_read_in_notebooks():
    chapters = [read_chapter(p) for p in chapter_paths(ROOT).values()]
    assert chapters
    assert not list(site.given_away(ROOT / "notebooks", chapters))
