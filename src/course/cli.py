"""`course …`: a thin face over the rooms. Exit codes: 0 done, 1 something asked about failed, 2 wrong use."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Training from Scratch: check your notebooks, release chapters, grade submissions.",
)
out = Console()
err = Console(stderr=True)

Chapters = Annotated[list[str] | None, typer.Argument(help="Chapters, e.g. 11_optimizers.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def fail(message: object, code: int = 1) -> NoReturn:
    """Print one line on stderr and leave."""
    _line(err, f"course: {' '.join(str(message).split())}")
    raise typer.Exit(code)


def _points(rows: list[Any], *, student: bool) -> Table:
    table = Table(*(["student"] if student else []), "exercise", "points", "status", "message")
    for r in rows:
        cells = [r.exercise, f"{r.points:g}/{r.max_points:g}", r.status, r.message]
        table.add_row(*([r.student] if student else []), *(c.replace("[", r"\[") for c in cells))
    return table


def _authored(do: Callable[[Path], list[Path]]) -> None:
    from course.author.errors import AuthorError, UnknownChapter
    from course.author.root import find_root

    done: list[Path] = []
    try:
        root = find_root()
        done = do(root)
    except ModuleNotFoundError as e:
        fail(f"{e.name} is not installed: pip install 'training-from-scratch[grading,site]'")
    except UnknownChapter as e:
        fail(e, 2)
    except AuthorError as e:
        for path in e.done:
            _line(out, f"wrote {path.relative_to(root)}")
        for line in e.lines:
            _line(err, f"course: {line}")
        raise typer.Exit(1) from None
    for path in done:
        _line(out, f"wrote {path.relative_to(root)}")


@app.command()
def release(chapters: Chapters = None) -> None:
    """Write the released notebooks of all chapters, or of those named, from solutions/."""

    def do(root: Path) -> list[Path]:
        from course.author.release import release

        return release(chapters, root)

    _authored(do)


@app.command()
def site(chapters: Chapters = None) -> None:
    """Run the chapters (only those that changed) and build the site into _build/html."""

    def do(root: Path) -> list[Path]:
        from course.author.pages import build

        return [build(root, chapters)]

    _authored(do)


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(help="A notebook from notebooks/.")],
    as_json: AsJson = False,
    timeout: Annotated[int, typer.Option(help="Seconds for each cell.")] = 600,
) -> None:
    """Run a notebook's checks and print a table of points. The file is not changed."""
    from course.check.notebook import BadNotebook, check_notebook

    try:
        rows, notes = check_notebook(notebook, timeout=timeout)
    except BadNotebook as e:
        fail(e)
    if as_json:
        print(json.dumps({"exercises": [asdict(r) for r in rows], "notes": notes}))
    else:
        out.print(_points(rows, student=False))
        got, most = sum(r.points for r in rows), sum(r.max_points for r in rows)
        out.print(f"{got:g} of {most:g} points")
    for note in notes:
        _line(err, f"{notebook.name}: {note}")
    if notes or any(r.status != "passed" for r in rows):
        raise typer.Exit(1)


@app.command()
def grade(
    submitted: Annotated[Path, typer.Argument(help="Folder of STUDENT/CHAPTER/CHAPTER.ipynb.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    chapter: Annotated[str | None, typer.Option(help="Grade this chapter only.")] = None,
    secret: Annotated[
        Path | None,
        typer.Option(help="File whose text draws the graded cases; kept in --out when not given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grade submissions: gradebook.db, grades.csv and feedback/ in the --out folder."""
    try:
        from course.grade.run import GradeError, Submission, submissions
        from course.grade.run import grade as run
    except ModuleNotFoundError as e:
        fail(f"{e.name} is not installed: pip install 'training-from-scratch[grading,site]'")
    from course.author.errors import AuthorError
    from course.author.source import chapter_notebook

    text = None
    try:
        if secret is not None:
            text = secret.read_text("utf-8").strip()
            if not text:
                fail(f"{secret} is empty: put any secret text into it", 2)
        total = len(submissions(submitted, chapter))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=err) as bar:
            task = bar.add_task("grading", total=total)

            def progress(s: Submission, rows: list[Any]) -> None:
                bar.update(task, advance=1, description=s.student)

            rows = run(
                submitted,
                out_dir,
                chapter_notebook,
                chapter=chapter,
                secret=text,
                progress=progress,
            )
    except (OSError, UnicodeDecodeError, AuthorError, GradeError) as e:
        fail(e, 2)
    if as_json:
        print(json.dumps([asdict(r) for r in rows]))
    else:
        out.print(_points(rows, student=True))
        out.print(f"{out_dir / 'grades.csv'}: {len(rows)} rows, {total} submissions")
    unreadable = dict.fromkeys(
        (r.student, r.message)
        for r in rows
        if "valid notebook" in r.message or "UTF-8" in r.message
    )
    for student, message in unreadable:
        _line(err, f"{student}: {message}")
    if unreadable:
        raise typer.Exit(1)


@app.command("grader-report")
def grader_report(chapters: Chapters = None) -> None:
    """Run tests/mistakes/ through the checks: false accepts, false rejects, unnamed mistakes."""
    from course.author.errors import AuthorError
    from course.author.root import find_root
    from course.check.bank import load, tally

    try:
        folder = find_root() / "tests" / "mistakes"
    except AuthorError as e:
        fail(e, 2)
    names = chapters or sorted(p.stem for p in folder.glob("*.py"))
    table = Table("exercise", "right", "wrong", "false accepts", "false rejects", "unnamed")
    faulty = False
    for name in names:
        if not (folder / f"{name}.py").is_file():
            fail(f"there is no bank for {name!r} in tests/mistakes/", 2)
        for t in tally(load(folder / f"{name}.py")):
            faulty |= bool(t.faults)
            counts = (t.right, t.wrong, t.false_accepts, t.false_rejects, t.unnamed)
            table.add_row(t.exercise, *map(str, counts))
            for line in t.faults:
                _line(err, line)
    out.print(table)
    if faulty:
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Say what this installation can and cannot do, one line each."""
    from course.doctor import diagnose

    checks = diagnose()
    for c in checks:
        _line(out, f"{'✓' if c.ok else '✗'} {c.name}: {c.words}")
    if not all(c.ok for c in checks):
        raise typer.Exit(1)


def main() -> None:
    """Entry point; `python -m course.cli` works too."""
    app()


if __name__ == "__main__":
    sys.exit(main())
