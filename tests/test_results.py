"""What was measured can be read, is complete, and says nothing of the machine but its hardware."""

from __future__ import annotations

import platform
import re

import pytest

from course import results


def test_a_result_that_was_never_measured_lists_those_that_were():
    with pytest.raises(FileNotFoundError, match="ladder_linear_cpu"):
        results.load_result("nothing")


def test_without_a_checkout_the_packaged_copy_is_read(tmp_path, monkeypatch):
    (tmp_path / "packaged").mkdir()
    (tmp_path / "packaged" / "made.json").write_text('{"a": 1}')
    monkeypatch.setattr(results, "_FOLDERS", (tmp_path / "absent", tmp_path / "packaged"))
    assert results.load_result("made") == {"a": 1}


def test_the_ladder_holds_three_seeds_of_each_rung_within_its_band():
    bands = {("SGD", 1_000): (0.905, 0.925), ("SGD", 10_000): (0.91, 0.93)}
    bands |= {("SGD", 100_000): (0.915, 0.93)}
    bands |= {("Adam", 100_000): (0.925, 0.932), ("Adam", 200_000): (0.925, 0.932)}
    seeds = {rung: set() for rung in bands}
    for run in results.load_result("ladder_linear_cpu")["runs"]:
        for test in run["tests"]:
            low, high = bands[run["optimizer"], test["steps"]]
            assert low <= test["test_accuracy"] <= high
            seeds[run["optimizer"], test["steps"]].add(run["seed"])
    assert all(s == {0, 1, 2} for s in seeds.values())


def test_results_say_what_they_were_measured_on_and_no_more():
    for path in results._FOLDERS[0].glob("*.json"):
        found = results.load_result(path.stem)
        assert {"command", "hardware", "versions", "date"} <= set(found)
        text = path.read_text("utf-8")
        assert platform.node() not in re.findall(r"[\w.-]+", text)
        assert not re.search(r"(?<![\w.])/\w+/|https?:", text), path.name
