"""Read a chapter's source, `solutions/NN_topic/NN_topic.md`, into a notebook for nbgrader.

Short tags on code cells say what a cell is: `:answer:`, `:check:` with `:points:`, `:hint:`, `:lab:`,
`:uses:`, `:alt:`, `:hide:`. See CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from course.author import markdown
from course.author.errors import AuthorError, UnknownChapter
from course.author.root import find_root

TAGS = ("answer", "check", "points", "hint", "lab", "uses", "alt", "hide")
SOLUTION = ("BEGIN SOLUTION", "END SOLUTION")
HIDDEN = ("BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
STUB = "raise NotImplementedError"

AUTHOR = "author"
"""Key in a cell's metadata, until release: {"line": where it starts in the source, and the tags}."""

_CHAPTER = re.compile(r"\d\d_[a-z0-9_]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,50}")


@dataclass(frozen=True)
class Chapter:
    """A chapter's source: the notebook with its answers, and where it came from."""

    name: str
    path: Path
    nb: NotebookNode

    @property
    def exercises(self) -> dict[str, NotebookNode]:
        """The answer cells by name, in order."""
        return {c.metadata[AUTHOR]["answer"]: c for c in self.cells("answer")}

    def cells(self, tag: str) -> list[NotebookNode]:
        """The cells that carry a tag."""
        return [c for c in self.nb.cells if tag in c.metadata[AUTHOR]]


def chapter_paths(root: Path) -> dict[str, Path]:
    """The sources below `root/solutions/` by chapter name, in order."""
    found = sorted((root / "solutions").glob("*/*.md"))
    return {p.stem: p for p in found if p.stem == p.parent.name and _CHAPTER.fullmatch(p.stem)}


def chapter_path(root: Path, name: str) -> Path:
    """The source of one chapter. Raises UnknownChapter, which names those that are there."""
    paths = chapter_paths(root)
    if name not in paths:
        known = ", ".join(paths) or "none"
        raise UnknownChapter(f"no chapter {name!r} in solutions/; there are: {known}")
    return paths[name]


def chapter_notebook(name: str, root: Path | None = None) -> NotebookNode:
    """A chapter's answered notebook with nbgrader's metadata: what grading registers.

    Raises:
        UnknownChapter: (a KeyError) no such chapter.
        AuthorError: the source has a defect.
    """
    root = root or find_root()
    nb = read_chapter(chapter_path(root, name)).nb
    for cell in nb.cells:
        del cell.metadata[AUTHOR]
    return nb


def read_chapter(path: Path) -> Chapter:
    """Read and check a chapter's source on its own.

    Returns:
        The chapter; answer and check cells carry nbgrader's metadata and all cells fixed ids.

    Raises:
        AuthorError: with one line, naming file and line, for each defect.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise AuthorError(f"{_where(path)}: cannot be read: {e}") from None
    nb = _parse(path, text)
    chapter = Chapter(path.stem, path, nb)
    defects = sorted(_defects(chapter, text))
    if defects:
        raise AuthorError(*(f"{_where(path, line)}: {words}" for line, words in defects))
    _mark(nb)
    return chapter


def _where(path: Path, line: int | None = None) -> str:
    short = "/".join(path.parts[-3:])
    return short if line is None else f"{short}:{line}"


def _parse(path: Path, text: str) -> NotebookNode:
    from jupytext.myst import MystMetadataParsingError, myst_to_notebook

    # Alt texts are sentences: quoted here, so that a colon or a # in one is no YAML.
    quoted = re.sub(
        r"^:alt:[ \t]+(?![\"'])(.+?)[ \t]*$",
        lambda m: f":alt: {json.dumps(m[1], ensure_ascii=False)}",
        text,
        flags=re.MULTILINE,
    )
    try:
        nb = myst_to_notebook(quoted, add_source_map=True)
    except (MystMetadataParsingError, yaml.YAMLError) as e:
        found = re.search(r"at line (\d+)", str(e))
        line = int(found[1]) if found else 1
        words = " ".join(str(e).split()).split("Invalid YAML; ")[-1][:120]
        raise AuthorError(
            f"{_where(path, line)}: the options of this cell cannot be read: {words}"
        ) from None
    starts = nb.metadata.pop("source_map")
    kernel = nb.metadata.get("kernelspec", {}).get("name", "python3")
    if kernel != "python3":
        raise AuthorError(f"{_where(path, 1)}: the kernelspec in the header must be python3")
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    lines = text.split("\n")
    for cell, start in zip(nb.cells, starts):
        meta = cell.metadata if isinstance(cell.metadata, dict) else {"?": cell.metadata}
        if cell.cell_type == "code":
            line = start
        else:  # jupytext drops the empty lines at a Markdown cell's start
            line = start + 1
            while line < len(lines) and not lines[line - 1].strip():
                line += 1
        cell.metadata = nbformat.from_dict({AUTHOR: {**meta, "line": line}})
    return nb


def _code_line(cell: NotebookNode, lines: list[str], index: int) -> int:
    """The line in the file of line `index` (from 0) of a code cell."""
    line = cell.metadata[AUTHOR]["line"]  # of the fence, counted from 1
    while line < len(lines) and lines[line].lstrip().startswith(":"):
        line += 1
    if line < len(lines) and not lines[line].strip():
        line += 1
    return line + 1 + index


Defect = tuple[int, str]


def _defects(chapter: Chapter, text: str) -> Iterator[Defect]:
    lines = text.split("\n")
    cells = chapter.nb.cells
    if not cells or cells[0].cell_type != "markdown" or not cells[0].source.startswith("# "):
        yield 1, "the first cell must be Markdown that starts with `# Title`"
        return
    cites = markdown.citations(chapter.path.parents[2])
    for cell in cells:
        line = cell.metadata[AUTHOR]["line"]
        if cell.cell_type == "markdown":
            for at, words in markdown.problems(cell.source, cites):
                yield line + at, words
            for marker in (*SOLUTION, *HIDDEN):
                if marker in cell.source:
                    yield line, f"{marker} stands in text: it belongs into a code cell"
        elif cell.cell_type == "code":
            yield from _cell_defects(cell, lines)
        else:
            yield line, "a raw cell: only Markdown and code cells are known"
        if cell.get("outputs") or cell.get("attachments"):
            yield line, "outputs in the source: remove them, they are made when the site is built"
    yield from _exercise_defects(chapter)
    if not any(c.cell_type == "code" for c in cells):
        yield 1, "no code cell: the first one is the set-up"


def _cell_defects(cell: NotebookNode, lines: list[str]) -> Iterator[Defect]:
    meta, line = cell.metadata[AUTHOR], cell.metadata[AUTHOR]["line"]
    for tag in meta:
        if tag not in (*TAGS, "line"):
            yield line, f"unknown tag :{tag}: (known: {', '.join(TAGS)})"
    roles = [t for t in ("answer", "check", "hint", "lab") if t in meta]
    if len(roles) > 1:
        yield line, f"a cell cannot be both {' and '.join(roles)}"
    for tag in (*roles, *(["uses"] if "uses" in meta else [])):
        for name in _names(meta[tag]):
            if not _NAME.fullmatch(name):
                yield line, f":{tag}: needs a name made of letters, digits and _, not {name!r}"
    if "points" in meta and "check" not in meta:
        yield line, ":points: without :check:"
    if "hide" in meta and meta["hide"] != "input":
        yield line, ":hide: can only be `input`"
    if "alt" in meta and not str(meta["alt"] or "").strip():
        yield line, ":alt: is empty: state what the figure shows"
    if "```{code-cell}" in cell.source:
        yield line, "this code cell's fence is not closed"
        return
    source = cell.source.split("\n")
    regions = {"solution": SOLUTION, "hidden": HIDDEN}
    for kind, (begin, end) in regions.items():
        allowed = "answer" if kind == "solution" else "check"
        inside = None
        for i, text in enumerate(source):
            at = _code_line(cell, lines, i)
            if begin in text:
                if allowed not in meta:
                    yield at, f"a {kind} region outside a cell with :{allowed}:"
                if inside is not None:
                    yield at, f"a {kind} region inside a {kind} region"
                inside = i
            elif end in text:
                if inside is None:
                    yield at, f"### {end} without ### {begin}"
                elif not _code_lines(source[inside + 1 : i]):
                    yield at, f"an empty {kind} region"
                inside = None
        if inside is not None:
            yield (
                _code_line(cell, lines, inside),
                f"this {kind} region is not closed: add ### {end}",
            )
            return
    if "answer" in meta and not any(SOLUTION[0] in t for t in source):
        yield line, f":answer: {meta['answer']} without ### {SOLUTION[0]} … ### {SOLUTION[1]}"
    yield from _code_defects(cell, lines)


def _code_defects(cell: NotebookNode, lines: list[str]) -> Iterator[Defect]:
    """Code that does not parse, as written and as released."""
    for text, what in ((cell.source, ""), (strip(cell.source), " once the answer is removed")):
        try:
            tree = ast.parse(_python(text))
        except SyntaxError as e:
            at = _code_line(cell, lines, max((e.lineno or 1) - 1, 0))
            yield at, f"syntax error{what}: {e.msg}"
            return
    if "answer" in cell.metadata[AUTHOR] and _raises_when_run(tree):
        yield (
            cell.metadata[AUTHOR]["line"],
            "the stub raises as soon as its cell runs: keep the `def` line above ### BEGIN SOLUTION",
        )


def _python(source: str) -> str:
    """A cell's code with IPython's own syntax turned into Python."""
    if not re.search(r"^\s*[%!?]|\?\s*$", source, re.MULTILINE):
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def _raises_when_run(node: ast.AST) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return False
    if isinstance(node, ast.Raise):
        return True
    return any(_raises_when_run(child) for child in ast.iter_child_nodes(node))


def _exercise_defects(chapter: Chapter) -> Iterator[Defect]:
    cells = chapter.nb.cells
    seen: dict[str, dict[str, tuple[int, int]]] = {"answer": {}, "check": {}}
    for i, cell in enumerate(cells):
        meta = cell.metadata[AUTHOR]
        for tag in ("answer", "check"):
            if tag in meta:
                name = str(meta[tag])
                if name in seen[tag]:
                    first = seen[tag][name][0]
                    what = "exercise name" if tag == "answer" else "check of"
                    yield meta["line"], f"duplicate {what} {name!r} (first in line {first})"
                else:
                    seen[tag][name] = (meta["line"], i)
        if "check" in meta:
            if f'check("{meta["check"]}"' not in strip(cell.source):
                yield meta["line"], f'this cell does not call check("{meta["check"]}")'
            points = meta.get("points")
            if points is None:
                yield meta["line"], f":check: {meta['check']} has no :points:"
            elif isinstance(points, bool) or not isinstance(points, (int, float)) or points <= 0:
                yield meta["line"], f":points: {points} is not a number above 0"
    answers, checks = seen["answer"], seen["check"]
    for name, (line, i) in answers.items():
        if name not in checks:
            yield line, f"exercise {name!r} has an answer and no check"
        elif checks[name][1] < i:
            yield checks[name][0], f"the check of {name!r} stands before its answer"
    for name, (line, _) in checks.items():
        if name not in answers:
            yield line, f"check of {name!r} and no answer cell of that name"
    for tag in ("hint", "uses"):
        for cell in chapter.cells(tag):
            for name in _names(cell.metadata[AUTHOR][tag]):
                if name not in answers and _NAME.fullmatch(name):
                    yield cell.metadata[AUTHOR]["line"], f":{tag}: {name}: no exercise of that name"


def _names(value: Any) -> list[str]:
    values = value if isinstance(value, list) else str(value).split(",")
    return [str(v).strip() for v in values]


def _mark(nb: NotebookNode) -> None:
    """Write nbgrader's metadata, and ids that are the same each time."""
    counts = {"markdown": 0, "code": 0}
    for cell in nb.cells:
        meta = cell.metadata[AUTHOR]
        counts[cell.cell_type] += 1
        cell["id"] = (
            f"{'text' if cell.cell_type == 'markdown' else 'code'}-{counts[cell.cell_type]}"
        )
        common = {"schema_version": 3, "task": False}
        if "answer" in meta:
            cell["id"] = meta["answer"]
            grading = {"grade": False, "locked": False, "solution": True}
        elif "check" in meta:
            cell["id"] = f"check_{meta['check']}"
            grading = {"grade": True, "locked": True, "solution": False, "points": meta["points"]}
        else:
            continue
        cell.metadata["nbgrader"] = nbformat.from_dict({**common, **grading, "grade_id": cell.id})
    nb["nbformat"], nb["nbformat_minor"] = 4, 5


# --- answers and what must not leave with a release


def strip(source: str) -> str:
    """A cell's code as released: answers replaced by the stub, hidden checks removed."""
    out, inside = [], False
    for line in source.split("\n"):
        if SOLUTION[0] in line:
            out.append(line[: len(line) - len(line.lstrip())] + STUB)
        if SOLUTION[0] in line or HIDDEN[0] in line:
            inside = True
        elif SOLUTION[1] in line or HIDDEN[1] in line:
            inside = False
        elif not inside:
            out.append(line)
    return "\n".join(out).rstrip("\n")


def regions(source: str, markers: tuple[str, str]) -> list[list[str]]:
    """The lines between each pair of markers."""
    found: list[list[str]] = []
    inside = False
    for line in source.split("\n"):
        if markers[0] in line:
            inside = True
            found.append([])
        elif markers[1] in line:
            inside = False
        elif inside:
            found[-1].append(line)
    return found


_PLAIN_LINE = re.compile(
    r"(return|yield)?\s*[\w.]*\s*|(import|from)\b.*|(else|try|finally|pass|break|continue)\W*"
    r"|with torch\.\w+\(\):|(self\.)?\w+ = (self\.)?\w+|super\(\).__init__\(\)|return None"
    r"|\w+\.(zero_grad|backward|step|eval|train)\(\w*\)|def \w+\(.*|class \w+.*|@\w+.*"
)


def _code_lines(lines: Iterable[str]) -> list[str]:
    """Lines of code, without comments and empty ones."""
    code = (re.sub(r"(^|\s)#(?![^'\"]*['\"][^'\"]*$).*$", "", line).strip() for line in lines)
    return [line for line in code if line]


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


@dataclass(frozen=True)
class Secret:
    """What must not be read in a release: one line, or two that follow each other."""

    lines: tuple[str, ...]
    exercise: str

    def within(self, squeezed: str) -> bool:
        """Whether it stands in a text without white space."""
        return _squeeze("".join(self.lines)) in squeezed


def secrets(chapter: Chapter) -> list[Secret]:
    """What gives answers and hidden checks away: a distinctive line (30 characters or more), or two
    consecutive ones that are not mere plumbing; and every line of a hidden check that is not shown."""
    found: dict[tuple[str, ...], Secret] = {}
    shown = {_squeeze(x) for c in chapter.cells("check") for x in strip(c.source).split("\n")}
    for name, cell in chapter.exercises.items():
        for region in regions(cell.source, SOLUTION):
            code = _code_lines(region)
            for i, line in enumerate(code):
                if len(line) >= 30 and not _PLAIN_LINE.fullmatch(line):
                    found[(line,)] = Secret((line,), name)
                pair = tuple(code[i : i + 2])
                telling = [x for x in pair if not _PLAIN_LINE.fullmatch(x)]
                if len(telling) == 2 and len("".join(pair)) >= 20:
                    found[pair] = Secret(pair, name)
    for cell in chapter.cells("check"):
        for region in regions(cell.source, HIDDEN):
            for line in _code_lines(region):
                if _squeeze(line) not in shown and len(line) > 8:
                    found[(line,)] = Secret((line,), f"{cell.metadata[AUTHOR]['check']} (hidden)")
    return list(found.values())


def leaks(chapter: Chapter) -> list[str]:
    """One line for each place of the released text where an answer can be read."""
    what = secrets(chapter)
    lines = []
    for cell in chapter.nb.cells:
        text = strip(cell.source)
        if cell.cell_type == "code":
            text = "\n".join(_code_lines(text.split("\n")) + text.split("\n"))
        squeezed = _squeeze(text)
        told = set()
        for secret in what:
            if secret.exercise not in told and secret.within(squeezed):
                told.add(secret.exercise)
                at = _where(chapter.path, cell.metadata[AUTHOR]["line"])
                lines.append(
                    f"{at}: the answer of {secret.exercise} can be read here: `{secret.lines[0]}`"
                )
    return lines


# --- what a chapter shares with the rest of the course


def check_chapter(chapter: Chapter, root: Path) -> None:
    """Check a chapter against its exercises, the other chapters and its own answers.

    Raises:
        AuthorError: with one line for each defect.
    """
    lines = [*_taken(chapter, root), *_unknown(chapter), *leaks(chapter)]
    if lines:
        raise AuthorError(*lines)


def _taken(chapter: Chapter, root: Path) -> Iterator[str]:
    # By text alone, so that a defect in another chapter does not get in the way.
    for name, path in chapter_paths(root).items():
        if name == chapter.name:
            continue
        theirs = set(re.findall(r"^:answer:\s*(\w+)", path.read_text("utf-8", "replace"), re.M))
        for exercise, cell in chapter.exercises.items():
            if exercise in theirs:
                at = _where(chapter.path, cell.metadata[AUTHOR]["line"])
                yield f"{at}: exercise name {exercise!r} is taken by {name}: choose another"


def _unknown(chapter: Chapter) -> Iterator[str]:
    from course import exercises

    try:
        known = exercises.chapter(chapter.name)
    except KeyError:
        return
    except Exception as e:
        yield (
            f"src/course/exercises/ch{chapter.name}.py cannot be imported: {type(e).__name__}: {e}"
        )
        return
    titles = {
        h
        for c in chapter.nb.cells
        if c.cell_type == "markdown"
        for h in markdown.headings(c.source)
    }
    what = secrets(chapter)
    for name, cell in chapter.exercises.items():
        at = _where(chapter.path, cell.metadata[AUTHOR]["line"])
        for i, text in enumerate(known[name].hints if name in known else (), 1):
            told = [s for s in what if s.within(_squeeze(text))]
            if told:  # a page shows hints
                yield f"{at}: hint {i} of {name} holds a line of the answer: `{told[0].lines[0]}`"
        if name not in known:
            yield f"{at}: exercise {name!r} is not in src/course/exercises/ch{chapter.name}.py"
        elif known[name].section not in titles:
            yield f"{at}: {name} points to the section “{known[name].section}”, which is no heading here"
