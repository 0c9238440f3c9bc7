"""Frames a second that the optimizer race draws in headless Chromium, median of five races.

    python benchmarks/race_fps.py

Needs the built site (make site). Writes benchmarks/results/race_fps.json.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import torch

from machine import machine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import launch, serve  # noqa: E402

COUNT = """async () => {
  const root = document.querySelector('.cs-race');
  const press = name => [...root.querySelectorAll('button')].find(b => b.textContent === name).click();
  press('Restart');
  root.querySelector('input[type=radio]').click(); // a bet
  await new Promise(r => setTimeout(r, 100));
  press('Race!');
  await new Promise(r => setTimeout(r, 500));
  const first = Number(root.dataset.frames), start = performance.now();
  await new Promise(r => setTimeout(r, 3000));
  return (Number(root.dataset.frames) - first) / ((performance.now() - start) / 1000);
}"""


def main() -> int:
    """Measure and write the result."""
    page_file = ROOT / "_build" / "html" / "book" / "chapters" / "11_optimizers.html"
    if not page_file.is_file():
        print("race_fps: there is no site yet: run make site", file=sys.stderr)
        return 1
    with launch() as browser, serve(ROOT / "_build" / "html") as url:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}/book/chapters/11_optimizers.html")
        page.locator(".course-sim").first.scroll_into_view_if_needed()
        page.locator(".cs-race tbody tr").first.wait_for()
        page.locator(".cs-race canvas.field").scroll_into_view_if_needed()
        rates = [page.evaluate(COUNT) for _ in range(5)]
        version = browser.version
    result = {
        "what": "frames a second drawn during the optimizer race on the chapter's page, 1280×900, headless",
        "command": "python benchmarks/race_fps.py",
        **machine(torch.device("cpu")),
        "chromium": version,
        "frames_per_second": {
            "median": round(statistics.median(rates), 1),
            "runs": [round(r, 1) for r in rates],
        },
    }
    path = ROOT / "benchmarks" / "results" / "race_fps.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["frames_per_second"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
