"""Build the site: executed chapters without their answers, then Jupyter Book, then a last look."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from rich.console import Console
from rich.table import Table

from course.author import markdown, site
from course.author.errors import AuthorError
from course.author.execute import Executed, execute, outputs
from course.author.results import results_text
from course.author.root import Addresses
from course.author.source import AUTHOR, Chapter, chapter_path, chapter_paths, read_chapter, strip

console = Console(stderr=True)


def build(root: Path, chapters: list[str] | None = None) -> Path:
    """Execute the chapters and build the site, whole or not at all.

    Args:
        root: the course's folder.
        chapters: build a preview with these chapters only, into `_build/preview`.

    Returns:
        The folder of the site: `root/_build/html`, or `root/_build/preview`.

    Raises:
        UnknownChapter: there is no such chapter.
        AuthorError: with one line for each defect. A site that was built before stays as it was.
    """
    root = root.resolve()
    names = list(dict.fromkeys(chapters or chapter_paths(root)))
    sources = [read_chapter(chapter_path(root, name)) for name in names]
    missing = [c.name for c in sources if not _released(root, c.name).exists()]
    if missing and not chapters:
        raise AuthorError(f"not released yet: {', '.join(missing)}: run `make release`")
    done = []
    for chapter in sources:
        with console.status(f"running {chapter.name}"):
            done.append(execute(chapter, root))
    console.print(_table(done))
    pages = root / "book" / "chapters"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    cites, addresses = markdown.citations(root), Addresses.read(root)
    for executed in done:
        nb = page(executed, cites, addresses, download=_released(root, executed.chapter.name))
        nbformat.write(nb, pages / f"{executed.chapter.name}.ipynb")
    (pages / "results.txt").write_text(results_text(root), "utf-8")
    (pages / "race.txt").write_text(_sim("race"), "utf-8")
    html = _jupyter_book(root, names if chapters else None)
    toc = site.toc_pages(root)
    if chapters:
        toc = [p for p in toc if "chapters/" not in p or Path(p).name in names]
    every = [read_chapter(p) for p in chapter_paths(root).values()] if not chapters else sources
    defects = site.defects(html, toc, every)
    if defects:
        raise AuthorError(*defects)
    target = root / "_build" / ("preview" if chapters else "html")
    _swap(html, target)
    return target


def page(
    done: Executed, citations: dict[str, str], addresses: Addresses, download: Path | None = None
) -> NotebookNode:
    """A chapter as MyST-NB reads it: outputs and prose, no answers, no hidden checks, no widgets."""
    nb = copy.deepcopy(done.chapter.nb)
    shown = iter(outputs(done))
    cells = []
    for cell in nb.cells:
        tags = cell.metadata[AUTHOR]
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "markdown":
            cell.source = markdown.for_page(cell.source, citations)
            cells.append(cell)
            continue
        cell.source = strip(cell.source)
        cell.outputs = next(shown)
        if "alt" in tags:
            cell.metadata["mystnb"] = {"image": {"alt": tags["alt"]}}
        if "hint" in tags or "lab" in tags or tags.get("hide") == "input":
            cell.metadata["tags"] = ["remove-input"]
            if not cell.outputs:
                continue
        cells.append(cell)
    nb.cells = cells
    title, _, rest = nb.cells[0].source.partition("\n")
    buttons = _buttons(done.chapter, addresses, download)
    nb.cells[0].source = f"{title}\n\n{buttons}\n{rest}"
    return nb


def _buttons(chapter: Chapter, addresses: Addresses, download: Path | None) -> str:
    row = f"[Open in Colab]({addresses.colab(chapter.name)})"
    if download is not None and download.exists():
        row += f" {{download}}`Download notebook </notebooks/{chapter.name}/{chapter.name}.ipynb>`"
    return f'<div class="course-buttons">\n\n{row}\n\n</div>\n'


def _sim(name: str) -> str:
    """A simulation for a page that is no notebook: what a notebook's output would hold."""
    from course.show import Sim

    bundle = Sim(name)._repr_mimebundle_()
    return (bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"]


def _released(root: Path, name: str) -> Path:
    return root / "notebooks" / name / f"{name}.ipynb"


def _table(done: list[Executed]) -> Table:
    table = Table("chapter", "seconds", "outputs")
    for e in done:
        table.add_row(e.chapter.name, f"{e.seconds:.1f}", "from the cache" if e.cached else "run")
    return table


def _jupyter_book(root: Path, only: list[str] | None) -> Path:
    """Run Jupyter Book from scratch: with what an earlier run left, its warnings would not show again."""
    work = root / "_build" / "work"
    shutil.rmtree(work, ignore_errors=True)
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(root)]
    command += ["--path-output", str(work), "--all", "--keep-going", *([] if only else ["-W"])]
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        if only is not None:
            toc = Path(folder) / "_toc.yml"
            toc.write_text(yaml.safe_dump(_partial_toc(root, only)), "utf-8")
            command += ["--toc", str(toc)]
        with console.status("building the pages"):
            run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    html = work / "_build" / "html"
    log = re.sub(r"\x1b\[[0-9;]*m", "", run.stdout + run.stderr)
    (root / "_build" / "site.log").write_text(log, "utf-8")
    found = [x for x in log.splitlines() if re.search(r"(WARNING|ERROR|CRITICAL|Error):", x)]
    lines = [x.replace(f"{root}/", "") for x in dict.fromkeys(found)]
    # MyST-NB counts lines of a notebook as 10000 for each cell.
    lines = [re.sub(r"\.ipynb:(\d+):", _cell_and_line, x) for x in lines]
    if only:  # other pages link to chapters that are left out of a preview
        lines = [x for x in lines if "not found: '" not in x and "unknown document" not in x]
    if run.returncode or lines or not (html / "index.html").exists():
        raise AuthorError(
            *lines[:20], "the pages could not be built: _build/site.log holds all of it"
        )
    _slim(html)
    sims = root / "src" / "course" / "show" / "sims"
    (html / "_static" / "sims").mkdir(exist_ok=True)
    for module in sims.glob("*.js"):
        shutil.copy(module, html / "_static" / "sims" / module.name)
    return html


def _cell_and_line(m: re.Match[str]) -> str:
    cell, line = divmod(int(m[1]), 10_000)
    return f".ipynb, cell {cell}, line {line}:"


def _slim(html: Path) -> None:
    """Leave out what is never shown: the icons come from a web font, not from fontawesome.js."""
    for path in html.rglob("*.html"):
        text = path.read_text("utf-8")
        slim = re.sub(r"\s*<script[^>]*fontawesome\.js[^>]*></script>", "", text)
        if slim != text:
            path.write_text(slim, "utf-8")
    for pattern in ("*.map", "*.ttf", "fontawesome.js", "fontawesome.js.LICENSE.txt"):
        for path in (html / "_static").rglob(pattern):
            path.unlink()


def _partial_toc(root: Path, only: list[str]) -> dict[str, Any]:
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    present = set()
    for part in toc.get("parts", []):
        part["chapters"] = [
            c
            for c in part["chapters"]
            if "book/chapters/" not in c["file"] or Path(c["file"]).name in only
        ]
        present |= {Path(c["file"]).name for c in part["chapters"]}
    toc["parts"] = [p for p in toc.get("parts", []) if p["chapters"]]
    extra = [{"file": f"book/chapters/{name}"} for name in only if name not in present]
    if extra:
        toc["parts"].append({"caption": "Preview", "chapters": extra})
    return toc


def _swap(new: Path, target: Path) -> None:
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
