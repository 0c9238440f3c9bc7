"""What the programs in benchmarks/ measured: read, never typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE.parents[1] / "benchmarks" / "results", _HERE / "_results")


def load_result(name: str) -> dict[str, Any]:
    """The measurement `benchmarks/results/NAME.json`, from the checkout or the installed package.

    Raises:
        FileNotFoundError: it was never measured; the text lists what was.
    """
    for folder in _FOLDERS:
        if (folder / f"{name}.json").is_file():
            return json.loads((folder / f"{name}.json").read_text("utf-8"))
    known = sorted(p.stem for f in _FOLDERS if f.is_dir() for p in f.glob("*.json"))
    raise FileNotFoundError(f"no result {name!r} in benchmarks/results; there are: {known}")
