"""The built site: complete, nothing given away, nothing loaded from elsewhere, fit for a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from browser import launch, serve, watch
from course.author import site
from course.author.pages import build
from course.author.source import chapter_paths, read_chapter

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
PAGES = site.toc_pages(ROOT)
CHAPTERS = list(chapter_paths(ROOT))
SOURCES = ("_config.yml", "_toc.yml", "book", "solutions", "notebooks", "src", "benchmarks/results")


def newest(path: Path) -> float:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    made = (ROOT / "book" / "chapters", "__pycache__")
    kept = [p for p in files if made[0] not in p.parents and made[1] not in p.parts]
    return max((p.stat().st_mtime for p in kept), default=0.0)


@pytest.fixture(scope="module")
def html():
    """The site's folder; built anew when something is newer than it."""
    index = ROOT / "_build" / "html" / "index.html"
    if not index.exists() or index.stat().st_mtime < max(newest(ROOT / s) for s in SOURCES):
        build(ROOT)
    return index.parent


@pytest.fixture(scope="module")
def address(html):
    """Where the site is served."""
    with serve(html) as base:
        yield f"{base}/"


@pytest.fixture(scope="module")
def browser():
    with launch() as chromium:
        yield chromium


def test_every_page_is_there_and_nothing_is_given_away(html):
    chapters = [read_chapter(p) for p in chapter_paths(ROOT).values()]
    assert {f"book/chapters/{c}" for c in CHAPTERS} <= set(PAGES)
    assert site.defects(html, PAGES, chapters) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_buttons_point_to_the_released_notebook(html, chapter):
    page = BeautifulSoup((html / f"book/chapters/{chapter}.html").read_text("utf-8"), "html.parser")
    links = {a.get_text(" ", strip=True): a["href"] for a in page.select(".course-buttons a")}
    assert links["Open in Colab"].startswith("https://colab.research.google.com/github/")
    assert links["Open in Colab"].endswith(f"/notebooks/{chapter}/{chapter}.ipynb")
    download = (html / "book/chapters" / links["Download notebook"]).resolve()
    released = ROOT / "notebooks" / chapter / f"{chapter}.ipynb"
    assert download.read_bytes() == released.read_bytes()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_figure_has_words_for_those_who_cannot_see_it(html, chapter):
    page = BeautifulSoup((html / f"book/chapters/{chapter}.html").read_text("utf-8"), "html.parser")
    figures = page.select("article .cell_output img")
    assert figures
    # Without :alt: MyST-NB puts the file's name there.
    bad = [i for i in figures if len(i.get("alt", "")) < 20 or "_images/" in i["alt"]]
    assert not bad, f"{len(bad)} of {len(figures)} figures have no :alt:"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [*PAGES, "search"])
def test_a_page_loads_clean_and_fits(browser, address, name, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    seen = watch(page, address)
    page.goto(f"{address}{name}.html")
    page.wait_for_load_state("networkidle")
    # Down to the end, so that what mounts when it is seen has mounted.
    page.evaluate(
        "async () => { for (let y = 0; y < document.body.scrollHeight; y += 800) {"
        " scrollTo(0, y); await new Promise((r) => setTimeout(r, 20)); } }"
    )
    page.wait_for_load_state("networkidle")
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    theme = page.evaluate("document.documentElement.dataset.theme")
    context.close()
    assert seen.problems() == []
    assert wider <= 0, f"{wider} px wider than the screen"
    assert theme == scheme


def test_the_landing_page_runs_the_race(browser, address):
    page = browser.new_page()
    page.goto(f"{address}index.html")
    page.wait_for_url("**/book/intro.html")
    page.locator(".course-sim").scroll_into_view_if_needed()
    expect(page.locator(".course-sim").get_by_role("button", name="Race!")).to_be_visible()
    page.close()


def test_a_quiz_remembers_answers_and_clears_them(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}book/chapters/{CHAPTERS[0]}.html")
    question = page.locator(".quiz-question").first
    wrong = question.locator('.quiz-option[data-right="false"]').first
    right = question.locator('.quiz-option[data-right="true"]').first
    wrong.locator("summary").click()
    expect(wrong.locator(".quiz-mark")).to_have_text("✗ not this one")
    expect(page.locator(".quiz-score").first).to_contain_text("0 of")
    page.reload()
    expect(wrong.locator(".quiz-mark")).to_have_text("✗ not this one")
    right.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(right.locator(".quiz-mark")).to_have_text("✓ right")
    expect(page.locator(".quiz-score").first).to_contain_text("0 of")  # the first try counts
    page.get_by_role("button", name="Clear answers").first.click()
    expect(wrong.locator(".quiz-mark")).to_have_text("")
    page.reload()
    expect(right.locator(".quiz-mark")).to_have_text("")
    context.close()
