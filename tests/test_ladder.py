"""The benchmark's program, on a stand-in that takes a moment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from course import data


@pytest.fixture
def ladder(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import ladder

    monkeypatch.setattr(ladder, "RESULTS", tmp_path)
    monkeypatch.setattr(ladder, "RUNS", (("SGD", {"lr": 0.5}, (100, 300)),))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    return ladder


def test_each_seed_is_measured_at_each_mark(ladder, tmp_path, monkeypatch):
    stand_in = replace(data.load("digits"), name="mnist")
    monkeypatch.setattr(data, "load", lambda name: stand_in)
    monkeypatch.setattr("sys.argv", ["ladder.py"])
    assert ladder.main() == 0
    found = json.loads((tmp_path / "ladder_linear_cpu.json").read_text())
    assert [r["seed"] for r in found["runs"]] == [0, 1, 2]
    for run in found["runs"]:
        assert [t["steps"] for t in run["tests"]] == [100, 300]
        assert run["tests"][-1]["test_accuracy"] > 0.8
        assert run["stream"][0]["step"] == 0


def test_a_quick_run_writes_nothing(ladder, tmp_path, monkeypatch):
    stand_in = replace(data.load("digits"), name="mnist")
    monkeypatch.setattr(data, "load", lambda name: stand_in)
    monkeypatch.setattr("sys.argv", ["ladder.py", "--quick"])
    assert ladder.main() == 0 and list(tmp_path.iterdir()) == []


def test_digits_are_never_written_under_the_name_of_mnist(ladder, tmp_path, monkeypatch, capsys):
    digits = data.load("digits")
    monkeypatch.setattr(data, "load", lambda name: digits)
    monkeypatch.setattr("sys.argv", ["ladder.py"])
    assert ladder.main() == 1 and list(tmp_path.iterdir()) == []
    assert "COURSE_DATA" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_one_line(ladder, monkeypatch, capsys):
    monkeypatch.setattr(ladder.torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr("sys.argv", ["ladder.py", "--device", "cuda"])
    assert ladder.main() == 1
    assert capsys.readouterr().err.count("\n") == 1
