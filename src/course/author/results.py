"""The results page: tables made from `benchmarks/results/*.json` when the site is built."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from course.author.errors import AuthorError


def results_text(root: Path) -> str:
    """Markdown with a section for each file of results.

    A file is a JSON object: `what` was measured, the `command` that measures it, facts as plain values
    (hardware, versions, date), and lists of objects, each shown as a table; in the one called `runs`
    the seeds of a setting stand side by side.

    Raises:
        AuthorError: a file is not JSON, or says with no `command` how it was made.
    """
    sections = []
    for path in sorted((root / "benchmarks" / "results").glob("*.json")):
        try:
            found = json.loads(path.read_text("utf-8"))
            sections.append(_section(path.stem, found))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise AuthorError(
                f"benchmarks/results/{path.name}: not a result with a command: {e}"
            ) from None
    return "\n\n".join(sections) or "Nothing has been measured yet.\n"


def _section(name: str, found: dict[str, Any]) -> str:
    facts, tables = [], []
    for key, value in found.items():
        if key in ("what", "command"):
            continue
        if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            tables.append(_table(_by_seed(value) if key == "runs" else value))
        else:
            facts.append(f"{_words(key)}: {_cell(value)}")
    what = str(found.get("what", _words(name)))
    what = what[:1].upper() + what[1:]
    return "\n\n".join(
        [f"## {what}", f"```sh\n{found['command']}\n```", *tables, " · ".join(facts)]
    )


def _by_seed(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs that differ only in their seed as one row per length, with each seed's figure."""
    groups: dict[tuple[str, int], dict[int, float]] = {}
    for run in runs:
        what = f"{run['optimizer']}, {_cell(run['settings'])}, batch {run['batch_size']}"
        for test in run["tests"]:
            found = groups.setdefault((what, test["steps"]), {})
            found[run["seed"]] = test["test_accuracy"]
    return [
        {
            "optimizer": what,
            "steps": steps,
            **{f"seed {seed}": f"{value:.4f}" for seed, value in by_seed.items()},
            "mean": f"{statistics.mean(by_seed.values()):.4f}",
        }
        for (what, steps), by_seed in groups.items()
    ]


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(k for row in rows for k in row))
    lines = [[_words(c) for c in columns], ["---"] * len(columns)]
    lines += [[_cell(row.get(c)) for c in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 10 else f"{value:,.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{_words(k)} {_cell(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " / ".join(_cell(v) for v in value)
    return str(value).replace("|", r"\|")
