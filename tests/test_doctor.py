"""The diagnosis names what is wrong, and finds nothing wrong with the locked set-up."""

from __future__ import annotations

import course.doctor as doctor


def found(name):
    return next(c for c in doctor.diagnose() if c.name == name)


def test_the_locked_installation_is_healthy(monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    bad = [c for c in doctor.diagnose() if not c.ok]
    assert bad == []


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cuda:77")
    c = found("device")
    assert not c.ok and "cuda:77" in c.words


def test_a_data_folder_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    assert not found("data").ok
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert found("data").ok and "MNIST" in found("data").words


def test_a_tool_that_is_missing_says_how_to_get_it(monkeypatch):
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda n: None if n == "nbgrader" else find(n)
    )
    c = found("nbgrader")
    assert not c.ok and "make setup" in c.words
