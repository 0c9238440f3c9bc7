"""Reading chapter sources, rewriting their Markdown, executing them, and looking at what was built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from course.author import AuthorError, execute, markdown, site
from course.author.pages import build, page
from course.author.results import results_text
from course.author.root import Addresses, find_root
from course.author.source import (
    chapter_notebook,
    check_chapter,
    leaks,
    read_chapter,
    secrets,
    strip,
)

ROOT = Path(__file__).parents[1]
TOY = (Path(__file__).parent / "fixtures" / "author" / "90_toy.md").read_text("utf-8")


def write(root: Path, text: str = TOY, name: str = "90_toy") -> Path:
    path = root / "solutions" / name / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def root(tmp_path):
    """A course with the toy chapter only."""
    for name in ("_config.yml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    write(tmp_path)
    return tmp_path


def edited(old: str, new: str, text: str = TOY) -> str:
    assert old in text
    return text.replace(old, new)


ANSWER = "the_half_of_everything = x * 0.5 + 0.0 * x"

REFUSED = {
    "unclosed solution": (edited("    ### END SOLUTION\n", ""), "solution region is not closed"),
    "unclosed hidden": (edited("### END HIDDEN TESTS\n", ""), "hidden region is not closed"),
    "end without begin": (edited("    ### BEGIN SOLUTION\n", ""), "without ### BEGIN SOLUTION"),
    "nested": (
        edited("    ### BEGIN SOLUTION\n", "    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n"),
        "inside a solution region",
    ),
    "no region": (
        edited("    ### BEGIN SOLUTION\n    return x + x\n    ### END SOLUTION\n", "    pass\n"),
        ":answer: toy_twice without",
    ),
    "empty region": (edited("    return x + x\n", "    # nothing\n"), "empty solution region"),
    "unknown tag": (edited(":points: 1", ":point: 1"), "unknown tag :point:"),
    "duplicate answer": (
        edited(":answer: toy_twice", ":answer: toy_halve"),
        "duplicate exercise name 'toy_halve'",
    ),
    "no points": (edited(":points: 2\n", ""), "has no :points:"),
    "zero points": (edited(":points: 2", ":points: 0"), "not a number above 0"),
    "negative points": (edited(":points: 2", ":points: -1"), "not a number above 0"),
    "points in words": (edited(":points: 2", ":points: two"), "not a number above 0"),
    "answer without check": (
        edited(":check: toy_twice\n:points: 1\n", "").replace(
            '### BEGIN HIDDEN TESTS\ncheck("toy_twice", seed=4711)\n### END HIDDEN TESTS\n', ""
        ),
        "'toy_twice' has an answer and no check",
    ),
    "check without answer": (
        edited(":answer: toy_twice\n", "").replace(
            "    ### BEGIN SOLUTION\n    return x + x\n    ### END SOLUTION\n", "    ...\n"
        ),
        "check of 'toy_twice' and no answer cell",
    ),
    "check of another": (edited('check("toy_twice")\n', ""), 'does not call check("toy_twice")'),
    "solution in a plain cell": (
        edited(
            "total = toy_halve(8.0)", "### BEGIN SOLUTION\ntotal = toy_halve(8.0)\n### END SOLUTION"
        ),
        "solution region outside a cell with :answer:",
    ),
    "hidden in a plain cell": (
        edited("total = toy_halve(8.0)", "### BEGIN HIDDEN TESTS\ntotal = 4\n### END HIDDEN TESTS"),
        "hidden region outside a cell with :check:",
    ),
    "marker in text": (edited("## Drawing", "## Drawing\n### BEGIN SOLUTION"), "stands in text"),
    "syntax error": (edited("total = toy_halve(8.0)", "total = = 4"), "syntax error"),
    "stub raises at once": (
        edited('def toy_twice(x):\n    """Twice x."""\n', "").replace(
            "    ### BEGIN SOLUTION\n    return x + x\n    ### END SOLUTION",
            "### BEGIN SOLUTION\ntoy_twice = lambda x: x + x\n### END SOLUTION",
        ),
        "the stub raises as soon as its cell runs",
    ),
    "unknown role": (edited("{term}`momentum`", "{doc}`momentum`"), "role {doc} is not known"),
    "unknown directive": (edited("```{quiz}", "```{note}"), "directive {note} is not known"),
    "unknown citation": (
        edited("kingma2015adam", "nobody1999"),
        "`nobody1999` is not in book/references",
    ),
    "quiz without why": (edited(', why: "Half of 8."', ""), "needs `text` and `why`"),
    "quiz with two right": (
        edited('why: "That is', 'right: true, why: "That is'),
        "exactly one option with `right: true`",
    ),
    "quiz that is no YAML": (edited('{text: "4"', "{text: `4`"), "quiz:"),
    "unknown exercise in uses": (
        edited(":uses: toy_halve", ":uses: toy_third"),
        "no exercise of that name",
    ),
    "pasted image": (edited("## Drawing", "## Drawing\n![](data:image/png;base64,AAAA)"), "pasted"),
    "no title": (edited("# Toy: two exercises", "Toy"), "starts with `# Title`"),
    "other kernel": (edited("name: python3", "name: julia"), "must be python3"),
    "options that are no YAML": (edited(":points: 2", ":points: [2"), "cannot be read"),
    "unclosed fence": (
        edited("plt.plot([0, total]);\n```\n", "plt.plot([0, total]);\n"),
        "not closed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_with_a_line_that_names_file_and_line(root, case):
    text, words = REFUSED[case]
    with pytest.raises(AuthorError) as e:
        read_chapter(write(root, text))
    said = [line for line in e.value.lines if words in line]
    assert said, e.value.lines
    where = said[0].split(" ")[0]
    assert where.startswith("solutions/90_toy/90_toy.md:")
    assert 1 <= int(where.rstrip(":").rsplit(":", 1)[1]) <= text.count("\n") + 1


def test_names_the_line_of_the_region_that_is_not_closed(root):
    text = edited("    ### END SOLUTION\n", "")
    with pytest.raises(AuthorError) as e:
        read_chapter(write(root, text))
    line = 1 + text.split("\n").index("    ### BEGIN SOLUTION")
    assert f"90_toy.md:{line}:" in e.value.lines[0]


def test_all_defects_are_reported_at_once(root):
    text = edited(":points: 1", ":points: 0", edited(":points: 2", ":points: 0"))
    with pytest.raises(AuthorError) as e:
        read_chapter(write(root, text))
    assert len(e.value.lines) == 2


def test_metadata_for_nbgrader(root):
    nb = chapter_notebook("90_toy", root)
    graded = {c.metadata.nbgrader.grade_id: c for c in nb.cells if "nbgrader" in c.metadata}
    assert list(graded) == ["toy_halve", "check_toy_halve", "toy_twice", "check_toy_twice"]
    assert graded["toy_halve"].metadata.nbgrader.solution
    assert not graded["toy_halve"].metadata.nbgrader.locked
    assert graded["check_toy_halve"].metadata.nbgrader.points == 2
    assert graded["check_toy_halve"].metadata.nbgrader.locked
    assert ANSWER in graded["toy_halve"].source
    nbformat.validate(nb)
    with pytest.raises(KeyError):
        chapter_notebook("91_none", root)


def test_cell_ids_are_the_same_each_time_and_unique(root):
    first, second = (chapter_notebook("90_toy", root) for _ in range(2))
    ids = [c.id for c in first.cells]
    assert ids == [c.id for c in second.cells]
    assert len(set(ids)) == len(ids)


# --- answers that leak


@pytest.mark.parametrize(
    "leak",
    [
        f"## Drawing\n\nBy the way: `{ANSWER}`.",
        f"## Drawing\n\n```python\n{ANSWER.replace(' ', '')}\n```",
        f"## Drawing\n\n```{{code-cell}} ipython3\nx = 1\nif x:\n    {ANSWER}  # again\n```",
    ],
    ids=["in text", "in a block, other spaces", "in a cell"],
)
def test_refuses_an_answer_that_can_be_read_elsewhere(root, leak):
    chapter = read_chapter(write(root, edited("## Drawing", leak)))
    with pytest.raises(AuthorError, match="the answer of toy_halve can be read here"):
        check_chapter(chapter, root)


def test_two_short_lines_in_a_row_are_a_leak_and_one_is_not(root):
    answer = "    y = x + x\n    z = y * 3 - x\n    return z\n"
    base = edited("    return x + x\n", answer)
    both = edited("## Drawing", "## Drawing\n\n    y = x + x\n    z = y * 3 - x\n", base)
    one = edited("## Drawing", "## Drawing\n\n    y = x + x\n", base)
    assert leaks(read_chapter(write(root, both)))
    assert not leaks(read_chapter(write(root, one)))


def test_plumbing_is_no_leak(root):
    answer = "    import numpy as np\n    out = x\n    return out\n"
    text = edited("    return x + x\n", answer)
    text = edited(
        "## Drawing", "## Drawing\n\n    import numpy as np\n    out = x\n    return out\n", text
    )
    assert not leaks(read_chapter(write(root, text)))


def test_a_hidden_check_shown_elsewhere_is_a_leak(root):
    text = edited("## Drawing", '## Drawing\n\nTry `check("toy_halve", seed=7321)`.')
    assert any("hidden" in line for line in leaks(read_chapter(write(root, text))))


# --- what a chapter shares with the rest


def test_refuses_a_name_that_another_chapter_has(root):
    write(root, TOY, "91_other")
    with pytest.raises(AuthorError, match="'toy_halve' is taken by 91_other"):
        check_chapter(read_chapter(root / "solutions/90_toy/90_toy.md"), root)


def test_a_broken_other_chapter_is_not_in_the_way(root):
    write(root, edited("    ### END SOLUTION\n", "").replace("toy_", "other_"), "91_other")
    check_chapter(read_chapter(root / "solutions/90_toy/90_toy.md"), root)


def test_refuses_what_the_exercises_do_not_know(root, monkeypatch):
    hints = ("Think.", f"Write {ANSWER}.", "Go.")
    known = {"toy_halve": SimpleNamespace(section="No such heading", hints=hints)}
    monkeypatch.setattr("course.exercises.chapter", lambda name: known)
    with pytest.raises(AuthorError) as e:
        check_chapter(read_chapter(root / "solutions/90_toy/90_toy.md"), root)
    assert any("toy_twice" in x and "is not in src/course/exercises" in x for x in e.value.lines)
    assert any("“No such heading”, which is no heading here" in x for x in e.value.lines)
    assert any("hint 2 of toy_halve holds a line of the answer" in x for x in e.value.lines)
    good = SimpleNamespace(section="Halving", hints=("a", "b", "c"))
    known.update(toy_halve=good, toy_twice=good)
    check_chapter(read_chapter(root / "solutions/90_toy/90_toy.md"), root)


# --- Markdown


CITES = {"kingma2015adam": "Kingma and Ba, 2015", "b": "B, 2001"}


@pytest.mark.parametrize(
    "source, notebook",
    [
        ("{term}`bias correction` x", "*bias correction* x"),
        ("many {term}`ravines <ravine>`", "many *ravines*"),
        ("{term}`bias\ncorrection`", "*bias\ncorrection*"),
        ("{cite}`kingma2015adam,b`", "(Kingma and Ba, 2015; B, 2001)"),
        ("{glue:text}`acc:.4f` and {glue:text}`acc`", "`acc` and `acc`"),
        ("`{term}` and `x`", "`{term}` and `x`"),
        ("```\n{term}`x`\n```", "```\n{term}`x`\n```"),
        ("$\\{a\\}$ `f`", "$\\{a\\}$ `f`"),
        ("[13](../13_x/13_x.md#a)", "[13](../13_x/13_x.ipynb)"),
        ("[r](../../book/results.md)", "[r](S/book/results.html)"),
    ],
)
def test_rewrites_for_notebooks(source, notebook):
    assert markdown.for_notebook(source, CITES, site="S") == notebook


def test_pages_keep_myst_and_link_to_pages():
    source = "{term}`a` [13](../13_x/13_x.md#b) [r](../../book/results.md)\n\n```\nx\n```\nend"
    expected = "{term}`a` [13](13_x.ipynb#b) [r](../results.md)\n\n```\nx\n```\nend"
    assert markdown.for_page(source, CITES) == expected


QUIZ = """```{quiz}
- q: "Is $a < b$ and `x > 1`?"
  options:
    - {text: "yes", why: "Since {term}`momentum`.", right: true}
    - {text: "no", why: "No: 2 & 3."}
```"""


@pytest.mark.parametrize("rewrite", [markdown.for_notebook, markdown.for_page])
def test_a_quiz_folds_every_option_with_its_explanation(rewrite):
    text = rewrite(f"Before.\n\n{QUIZ}\n\nAfter.", CITES)
    assert text.count("<details") == 2 == text.count("</details>")
    assert "<code>x &gt; 1</code>" in text and "2 &amp; 3" in text
    assert "<strong>Right.</strong> Since <em>momentum</em>." in text
    block = text[text.index("<div") : text.rindex("</div>")]
    assert "\n\n" not in block  # an empty line would end the HTML block
    assert text.startswith("Before.") and text.endswith("After.")


# --- pages


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The toy chapter, executed once, and its folder."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "src" / "course").mkdir(parents=True)
    (folder / "src" / "course" / "train.py").write_text("x = 1\n")
    (folder / "requirements.txt").write_text("torch\n")
    path = write(folder)
    (folder / "book").mkdir()
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    return folder, execute.execute(read_chapter(path), folder)


def test_a_page_keeps_outputs_and_loses_answers(executed):
    _, done = executed
    nb = page(done, {}, Addresses("https://github.com/a/b", "main", "https://s"))
    text = "\n".join(c.source for c in nb.cells)
    assert ANSWER not in text and "7321" not in text and "SOLUTION" not in text
    assert "raise NotImplementedError" in text
    assert (
        "https://colab.research.google.com/github/a/b/blob/main/notebooks/90_toy/90_toy.ipynb"
        in text
    )
    figure = next(c for c in nb.cells if "plt.plot" in c.source and c.cell_type == "code")
    assert any("image/png" in o.get("data", {}) for o in figure.outputs)
    assert figure.metadata.mystnb.image.alt == "A straight line: it rises to 4 # and no further"
    assert not any("nbgrader" in c.metadata for c in nb.cells)


def test_a_page_hides_the_code_of_hints_and_labs_and_needs_no_widget(executed):
    folder, _ = executed
    widget = (
        "from IPython.display import display\n"
        "display({'text/html': '<div class=course-sim></div>', 'text/plain': 'w',\n"
        "         'application/vnd.jupyter.widget-view+json': {'model_id': 'm'}}, raw=True)"
    )
    text = edited(
        "## Drawing\n", f"## Drawing\n\n```{{code-cell}} ipython3\n:lab: race\n\n{widget}\n```\n"
    )
    path = write(folder, text.replace("toy_", "lab_"), "92_lab")
    nb = page(
        execute.execute(read_chapter(path), folder),
        {},
        Addresses("https://github.com/a/b", "m", "s"),
    )
    cell = next(c for c in nb.cells if "course-sim" in c.source)
    assert cell.metadata.tags == ["remove-input"]
    assert set(cell.outputs[0].data) == {"text/html", "text/plain"}
    assert "widgets" not in nb.metadata


def test_a_failing_cell_names_chapter_cell_and_error(executed):
    folder, _ = executed
    text = edited("total = toy_halve(8.0)", "total = [][3]").replace("toy_", "bad_")
    with pytest.raises(AuthorError) as e:
        execute.execute(read_chapter(write(folder, text, "91_bad")), folder)
    (line,) = e.value.lines
    assert "91_bad, cell 7 (total = [][3]): IndexError: list index out of range" in line


def test_a_wrong_answer_in_the_source_fails_its_own_check(executed):
    folder, _ = executed
    text = edited(ANSWER, "the_half_of_everything = x").replace("toy_halve", "wrong_halve")
    text = text.replace("toy_", "wrong_")
    with pytest.raises(AuthorError, match="93_wrong, cell 5"):
        execute.execute(read_chapter(write(folder, text, "93_wrong")), folder)


def test_only_what_changed_runs_again(executed, monkeypatch):
    folder, done = executed
    path = folder / "solutions/90_toy/90_toy.md"
    assert not done.cached
    assert execute.execute(read_chapter(path), folder).cached
    prose = write(folder, edited("## Drawing", "Another sentence.\n\n## Drawing"))
    assert execute.execute(read_chapter(prose), folder).cached
    keys = {execute.fingerprint(folder)}
    (folder / "src/course/train.py").write_text("x = 2\n")
    keys.add(execute.fingerprint(folder))
    (folder / "requirements.txt").write_text("torch==2\n")
    keys.add(execute.fingerprint(folder))
    data = folder / "data" / "MNIST" / "raw"
    data.mkdir(parents=True)
    (data / "train-images-idx3-ubyte.gz").write_bytes(b"x")
    monkeypatch.setenv("COURSE_DATA", str(folder / "data"))
    keys.add(execute.fingerprint(folder))
    monkeypatch.setenv("COURSE_SEED", "5")
    keys.add(execute.fingerprint(folder))
    assert len(keys) == 5
    assert not execute.execute(read_chapter(path), folder).cached


# --- the last look at a site


def test_finds_an_answer_in_highlighted_html_and_in_a_notebook(root, tmp_path):
    chapter = read_chapter(root / "solutions/90_toy/90_toy.md")
    out = tmp_path / "html"
    (out / "sub").mkdir(parents=True)
    (out / "clean.html").write_text("<p>the half of everything</p>")
    assert not list(site.given_away(out, [chapter]))
    spans = "".join(f"<span class='n'>{word}</span> " for word in ANSWER.split(" "))
    (out / "sub" / "a.html").write_text(f"<pre>{spans}</pre>")
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell('check("toy_halve", seed=7321)')]
    )
    nbformat.write(nb, out / "b.ipynb")
    (out / "c.txt").write_text("### BEGIN SOLUTION")
    found = "\n".join(site.given_away(out, [chapter]))
    assert "sub/a.html" in found and "b.ipynb" in found and "c.txt" in found
    assert "clean.html" not in found


@pytest.mark.parametrize(
    "html, loads",
    [
        ('<script src="https://x.org/a.js"></script>', True),
        ('<link rel="stylesheet" href="//x.org/a.css">', True),
        ('<link rel="preconnect" href="https://x.org">', True),
        ('<img src="http://x.org/a.png">', True),
        ("<style>@import 'https://x.org/a.css';</style>", True),
        ('<p style="background:url(https://x.org/a.png)">', True),
        ('<link rel="canonical" href="https://x.org/a.html">', False),
        ('<a href="https://x.org">x</a>', False),
        ('<script src="_static/a.js"></script>', False),
    ],
)
def test_finds_what_loads_from_another_host(tmp_path, html, loads):
    (tmp_path / "a.html").write_text(f"<html><body>{html}</body></html>")
    assert bool(list(site.loads_elsewhere(tmp_path))) is loads


def test_finds_empty_pages(tmp_path):
    words = "<p>" + "Words that fill a page. " * 10 + "</p>"
    (tmp_path / "book/chapters").mkdir(parents=True)
    (tmp_path / "book/a.html").write_text(f"<article><h1>A</h1>{words}</article>")
    (tmp_path / "book/b.html").write_text(f"<article><h1>{words}</h1></article>")
    (tmp_path / "book/chapters/c.html").write_text(f"<article>{words}</article>")
    found = list(site.empty_pages(tmp_path, ["book/a", "book/b", "book/chapters/c", "book/d"]))
    assert len(found) == 3
    assert "book/b: the page has no text" in found
    assert any("book/d" in x and "no such page" in x for x in found)
    assert any("book/chapters/c" in x and "no output" in x for x in found)


def test_results_page(tmp_path):
    folder = tmp_path / "benchmarks/results"
    folder.mkdir(parents=True)
    runs = [
        {
            "optimizer": "SGD",
            "settings": {"lr": 0.5},
            "batch_size": 100,
            "seed": seed,
            "tests": [{"steps": 1000, "test_accuracy": accuracy}],
        }
        for seed, accuracy in ((0, 0.91), (1, 0.93))
    ]
    measured = {"what": "w", "command": "python a.py", "runs": runs}
    (folder / "a.json").write_text(json.dumps(measured))
    text = results_text(tmp_path)
    assert "python a.py" in text
    assert "| SGD, lr 0.5, batch 100 | 1,000 | 0.9100 | 0.9300 | 0.9200 |" in text
    (folder / "b.json").write_text('{"runs": []}')
    with pytest.raises(AuthorError, match=r"b\.json"):
        results_text(tmp_path)


def test_root_and_addresses(root, tmp_path):
    assert find_root(root / "solutions" / "90_toy") == root
    assert find_root(Path("/")) == ROOT  # where it is installed from
    (root / "_config.yml").write_text("title: x\n")
    with pytest.raises(AuthorError, match=r"repository\.url"):
        Addresses.read(root)


def test_secrets_are_gone_once_stripped(root):
    chapter = read_chapter(root / "solutions/90_toy/90_toy.md")
    whole = "".join("".join(strip(c.source).split()) for c in chapter.nb.cells)
    assert secrets(chapter) and not any(s.within(whole) for s in secrets(chapter))


def test_a_build_that_fails_leaves_the_site_that_was_there(root):
    write(root, edited("total = toy_halve(8.0)", "total = [][3]"))
    (root / "notebooks/90_toy").mkdir(parents=True)
    (root / "notebooks/90_toy/90_toy.ipynb").write_text("{}")
    old = root / "_build" / "html" / "index.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    with pytest.raises(AuthorError, match="90_toy, cell 7"):
        build(root)
    assert old.read_text() == "old" and not (root / "book" / "chapters").exists()
    shutil.rmtree(root / "notebooks")
    with pytest.raises(AuthorError, match="not released yet: 90_toy"):
        build(root)
