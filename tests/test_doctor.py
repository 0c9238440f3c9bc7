"""The diagnosis names what is wrong, and finds nothing wrong with the locked set-up."""

from __future__ import annotations

import course.doctor as doctor
from course import data


def found(name):
    return next(c for c in doctor.diagnose() if c.name == name)


def test_the_locked_installation_is_healthy(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    bad = [c for c in doctor.diagnose() if not c.ok]
    assert bad == []


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cuda:77")
    c = found("device")
    assert not c.ok and "cuda:77" in c.words


def test_the_data_folder_is_looked_into(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    assert not found("data").ok and "nowhere" in found("data").words
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert found("data").ok and "nothing yet" in found("data").words
    monkeypatch.setattr(
        data, "inspect", lambda name: {"images.gz": "whole" if name == "mnist" else "missing"}
    )
    assert found("data").ok and found("data").words.endswith("holds mnist")


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"partial")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert not found("data").ok and "mnist t10k-labels-idx1-ubyte.gz" in found("data").words


def test_a_folder_that_cannot_be_written_matters_only_without_the_data(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert not found("data").ok and "cannot be written" in found("data").words
    monkeypatch.setattr(data, "inspect", lambda name: {"images.gz": "whole"})
    assert found("data").ok


def test_isolation_is_optional(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name, path=None: None)
    assert found("bubblewrap").ok and "not here" in found("bubblewrap").words
    assert not found("alembic").ok


def test_a_tool_that_is_missing_says_how_to_get_it(monkeypatch):
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda n: None if n == "nbgrader" else find(n)
    )
    c = found("nbgrader")
    assert not c.ok and "make setup" in c.words
