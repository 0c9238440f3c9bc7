"""Release chapters: from `solutions/NN/NN.md` to `notebooks/NN/NN.ipynb`, through nbgrader's generator."""

from __future__ import annotations

import copy
import logging
import os
import re
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course.author import markdown
from course.author.errors import AuthorError
from course.author.root import Addresses
from course.author.source import (
    AUTHOR,
    HIDDEN,
    SOLUTION,
    Chapter,
    chapter_path,
    chapter_paths,
    check_chapter,
    read_chapter,
    secrets,
)

GUARD = """\
try:
    import course
except ModuleNotFoundError:  # on Colab
    %pip install -q {pip}
"""


def release(chapters: list[str] | None, root: Path) -> list[Path]:
    """Write `solutions/NN/NN.ipynb` (answered) and `notebooks/NN/NN.ipynb` (released).

    Args:
        chapters: names such as "11_optimizers"; all when None or empty.
        root: the course's folder.

    Returns:
        The released notebooks.

    Raises:
        UnknownChapter: there is no such chapter; nothing was written.
        AuthorError: a line for each defect. Chapters without one are released (`.done`); those with
            one keep what was released before.
    """
    names = list(dict.fromkeys(chapters or chapter_paths(root)))
    paths = [chapter_path(root, name) for name in names]
    done: list[Path] = []
    defects: list[str] = []
    for path in paths:
        try:
            answered, released = generate(path, root)
        except AuthorError as e:
            defects += e.lines
            continue
        target = root / "notebooks" / path.stem / f"{path.stem}.ipynb"
        _write(path.with_suffix(".ipynb"), answered)
        _write(target, released)
        done.append(target)
    if defects:
        raise AuthorError(*defects, done=tuple(done))
    return done


def stale(root: Path) -> list[str]:
    """What `course release` would change in `notebooks/`: one line each, none when all is current."""
    lines = []
    paths = chapter_paths(root)
    for path in paths.values():
        target = root / "notebooks" / path.stem / f"{path.stem}.ipynb"
        try:
            _, released = generate(path, root)
        except AuthorError as e:
            lines += e.lines
            continue
        if not target.exists():
            lines.append(f"{path.stem}: not released yet: run `make release`")
        elif target.read_text("utf-8") != released:
            lines.append(f"{path.stem}: the released notebook is stale: run `make release`")
    for folder in sorted((root / "notebooks").glob("*/")):
        for file in sorted(folder.iterdir()):
            name = folder.name
            if name not in paths or (
                file.name != f"{name}.ipynb" and not file.name.startswith(".")
            ):
                lines.append(f"notebooks/{name}/{file.name} has no source: remove it")
    return lines


def generate(path: Path, root: Path) -> tuple[str, str]:
    """The text of the answered and of the released notebook; writes nothing below `root`.

    Raises:
        AuthorError: the chapter has defects, or nbgrader refused it.
    """
    chapter = read_chapter(path)
    check_chapter(chapter, root)
    answered = _for_learners(chapter, root)
    with _course(root) as (folder, api):
        source = folder / "solutions" / chapter.name / f"{chapter.name}.ipynb"
        source.parent.mkdir(parents=True)
        nbformat.write(answered, source)
        result = api.generate_assignment(chapter.name, force=True, create=True)
        made = folder / "notebooks" / chapter.name / f"{chapter.name}.ipynb"
        if not result["success"] or not made.exists():
            raise AuthorError(f"{chapter.name}: nbgrader refused it: {reason(result)}")
        released = nbformat.read(made, as_version=4)
    _verify(chapter, released)
    return _text(answered), _text(released)


def _for_learners(chapter: Chapter, root: Path) -> NotebookNode:
    """The answered notebook as JupyterLab and Colab show it."""
    nb = copy.deepcopy(chapter.nb)
    addresses, cites = Addresses.read(root), markdown.citations(root)
    for cell in nb.cells:
        tags = cell.metadata.pop(AUTHOR)
        if cell.cell_type == "markdown":
            cell.source = markdown.for_notebook(cell.source, cites, site=addresses.site)
        elif "check" in tags or "uses" in tags:
            # "Run all" goes on where an answer is still missing.
            cell.metadata["tags"] = ["raises-exception"]
    title, _, rest = nb.cells[0].source.partition("\n")
    links = (
        f"[Open in Colab]({addresses.colab(chapter.name)}) · "
        f"[Read as a page]({addresses.page(chapter.name)})"
    )
    nb.cells[0].source = f"{title}\n\n{links}\n{rest}".rstrip("\n")
    setup = next(c for c in nb.cells if c.cell_type == "code")
    setup.source = GUARD.format(pip=addresses.pip()) + "\n" + setup.source
    return nb


@contextmanager
def _course(root: Path) -> Iterator[tuple[Path, Any]]:
    """A throw-away nbgrader course with this course's configuration, so that no gradebook stays."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import PyFileConfigLoader

    scripts_on_path()
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
        config.CourseDirectory.root = folder
        config.CourseDirectory.db_url = f"sqlite:///{folder}/gradebook.db"
        api = NbGraderAPI(config=config)
        api.log.setLevel(logging.CRITICAL)
        yield Path(folder), api


def scripts_on_path() -> None:
    """nbgrader starts `alembic` by name: put this interpreter's scripts on PATH."""
    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ.get("PATH", "")


def reason(result: dict[str, Any]) -> str:
    """The last line of what nbgrader's API says about a failure, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(result.get("error") or result.get("log") or ""))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"


def _verify(chapter: Chapter, released: NotebookNode) -> None:
    """The last guard: what nbgrader wrote holds no answer, hidden check or output."""
    defects = []
    whole = "\n".join(c.source for c in released.cells)
    squeezed = "".join(whole.split())
    for secret in secrets(chapter):
        if secret.within(squeezed):
            defects.append(f"{chapter.name}: the release shows `{secret.lines[0]}`")
    for marker in (*SOLUTION, *HIDDEN):
        if marker in whole:
            defects.append(f"{chapter.name}: the release shows {marker}")
    for cell in released.cells:
        if cell.get("outputs") or cell.get("execution_count"):
            defects.append(f"{chapter.name}: the release holds outputs (cell {cell.id})")
    if defects:
        raise AuthorError(*defects)


def _text(nb: NotebookNode) -> str:
    return nbformat.writes(nb, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as e:
        partial.unlink(missing_ok=True)
        raise AuthorError(f"{path} cannot be written: {e.strerror}") from None
