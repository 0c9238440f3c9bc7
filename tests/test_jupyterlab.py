"""The released notebook in real JupyterLab: the simulation moves, an answer typed in passes its check."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from browser import launch
from course.check.bank import Right, load

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
CHAPTER = "11_optimizers"


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that serves a copy of the released notebook."""
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(ROOT / "notebooks" / CHAPTER / f"{CHAPTER}.ipynb", work)
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # All cells in the document, so that the test finds those that are scrolled away.
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser"]
    command += [f"--port={port}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={work}"]
    command += ["--IdentityProvider.token=", "--ServerApp.port_retries=0"]
    log = (tmp_path / "lab.log").open("w")
    server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            if server.poll() is not None:
                pytest.fail((tmp_path / "lab.log").read_text()[-2000:])
            try:
                urllib.request.urlopen(f"{url}/api", timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def run_cell(page, cell):
    """Run a cell as a reader does, and wait until it has an execution count."""
    cell.scroll_into_view_if_needed()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    prompt = cell.locator(".jp-InputArea-prompt")
    page.wait_for_function(
        "e => /\\[\\d+\\]/.test(e.textContent)", arg=prompt.element_handle(), timeout=120_000
    )


def cell_with(page, text):
    return page.locator(".jp-CodeCell").filter(has_text=text).first


def test_simulation_moves_and_a_typed_answer_passes(lab):
    answers = load(ROOT / "tests" / "mistakes" / f"{CHAPTER}.py")
    code = next(a.code for a in answers if isinstance(a, Right) and a.exercise == "momentum_step")
    with launch() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{lab}/lab/tree/{CHAPTER}.ipynb")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
        page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=90_000)

        run_cell(page, cell_with(page, "from course.check import"))

        sim_cell = cell_with(page, 'Sim("race"')
        run_cell(page, sim_cell)
        sim = sim_cell.locator(".cs-race").first
        sim.wait_for(timeout=60_000)
        sim.locator(".cs-bet", has_text="Adam").click()
        sim.get_by_role("button", name="Race!").click()
        page.wait_for_timeout(1500)
        assert int(sim.get_attribute("data-step")) > 5

        check_cell = cell_with(page, 'check("momentum_step")')
        run_cell(page, check_cell)
        assert "not answered yet" in check_cell.inner_text()

        answer_cell = cell_with(page, "def momentum_step(")
        answer_cell.scroll_into_view_if_needed()
        answer_cell.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(code.strip())
        run_cell(page, answer_cell)
        page.keyboard.press("Escape")
        run_cell(page, check_cell)
        check_cell.get_by_text("momentum_step: all right").first.wait_for(timeout=60_000)
