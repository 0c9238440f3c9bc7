"""The race: its numbers against torch.optim, and the page as a reader plays it."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from browser import launch, serve, watch
from course.show import Sim

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


def golden():
    return json.loads((GOLDEN / "race.json").read_text())["vectors"]


def test_the_golden_vectors_are_torchs():
    spec = importlib.util.spec_from_file_location("make_race", GOLDEN / "make_race.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fresh, kept = module.vectors(), golden()
    assert len(kept) == 5 * 3 * 2
    for a, b in zip(fresh, kept, strict=True):
        assert a["path"] == pytest.approx(b["path"], rel=1e-9, abs=1e-12)
        assert (a["optimizer"], a["surface"], a["settings"]) == (
            b["optimizer"],
            b["surface"],
            b["settings"],
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Bare pages with the site's loader: a race in sight, one far down, one that does not exist."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "_static" / "sims").mkdir(parents=True)
    for name in ("sims.js", "sims.css"):
        shutil.copy(ROOT / "book" / "_static" / name, folder / "_static")
    shutil.copy(ROOT / "src/course/show/sims/race.js", folder / "_static" / "sims")
    bundle = Sim("race")._repr_mimebundle_()
    div = (bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"]
    space = '<div style="height:3000px"></div>'
    nowhere = (
        '<div class="course-sim" data-sim="nowhere" data-state="{}"><p>A placeholder.</p></div>'
    )
    pages = {"index": f"{div}{space}<p>end</p>", "far": f"{space}{div}{space}", "missing": nowhere}
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>race</title>'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            '<link rel="stylesheet" href="_static/sims.css"><body style="margin:16px; font-family:sans-serif">'
            f'{body}<script type="module" src="_static/sims.js"></script>'
        )
    with serve(folder) as url:
        yield url


@pytest.fixture(scope="module")
def chromium():
    with launch() as browser:
        yield browser


@pytest.fixture
def page(chromium, site):
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    seen = watch(page, site)
    page.goto(f"{site}/index.html")
    page.locator(".cs-race tbody tr").first.wait_for()
    yield page
    page.close()
    assert seen.problems() == []


def picture(page):
    """All that is drawn: the surface, the trails, the markers."""
    return page.locator(".cs-race").evaluate(
        "r => [...r.querySelectorAll('.cs-stage canvas')].map(c => c.toDataURL())"
    )


def control(page, key):
    return page.locator(f'.cs-race [data-k="{key}"]')


def turn(page, key, value):
    control(page, key).evaluate(
        "(c, v) => { c.value = v; c.dispatchEvent(new Event('input')); c.dispatchEvent(new Event('change')) }",
        str(value),
    )


def bet(page, name):
    page.locator(".cs-bet", has_text=name).click()


def state(page):
    # The address follows 200 ms later, by the page's own timers: one that is due after it fires after it.
    page.evaluate("new Promise(r => setTimeout(r, 300))")
    hash_ = page.evaluate("decodeURIComponent(location.hash)")
    return json.loads(hash_.removeprefix("#race:"))


def status(page):
    return page.locator(".cs-race .status").inner_text()


def arrivals(page):
    return page.locator(".cs-race td.when").all_inner_texts()


@pytest.mark.slow
def test_the_modules_paths_are_torchs(page):
    paths = page.evaluate(
        """async (vectors) => {
          const race = await import('/_static/sims/race.js');
          return vectors.map(v => Array.from(race.run(v.optimizer, v.surface, v.settings, v.start, 60)));
        }""",
        golden(),
    )
    for vector, path in zip(golden(), paths, strict=True):
        assert path == pytest.approx(vector["path"], rel=1e-6, abs=1e-9), vector["optimizer"]


@pytest.mark.slow
def test_what_the_design_measured_holds(page):
    """Steps until within 0.1 for good, from the design's own measurements."""
    got = page.evaluate(
        """async () => {
          const {run, finish} = await import('/_static/sims/race.js');
          const f = (o, s, h, start) => finish(run(o, s, h, start, 3000), s);
          return [
            f('SGD', 'bowl', {lr: 0.095, kappa: 20}, [-4, 2]),
            f('momentum', 'rosenbrock', {lr: 0.002}, [-1.2, 1]),
            f('Adam', 'beale', {lr: 0.5}, [1, 1.5]),
            f('SGD', 'beale', {lr: 0.03}, [-1, 1.5]),
            String(f('Adam', 'beale', {lr: 0.1}, [-1, 1.5])),
          ];
        }"""
    )
    assert got[:4] == pytest.approx([38, 325, 56, 167], abs=2)
    assert got[4] == "Infinity"


@pytest.mark.slow
def test_a_race_moves_and_fills_the_table(page):
    before = picture(page)
    assert set(arrivals(page)) == {"–"}
    bet(page, "Adam")
    turn(page, "speed", 1.3)
    page.get_by_role("button", name="Race!").click()
    page.wait_for_function(
        "document.querySelector('.cs-race .status').textContent.includes('first')"
    )
    assert picture(page) != before
    assert all(re.fullmatch(r"[\d,]+|diverged|> 3,000", x) for x in arrivals(page))
    assert re.search(r"You bet right|Your bet was Adam", page.locator(".status").inner_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("surface", "rosenbrock", {"surface": "rosenbrock"}),
        ("kappa", "20", {"kappa": 20}),
        ("common", "common", {"common": True}),
        ("noise", "2", {"noise": 2}),
    ],
)
def test_each_control_changes_the_state_and_the_drawing(page, key, value, expected):
    bet(page, "Adam")

    def after_ten_steps():
        for _ in range(10):
            page.get_by_role("button", name="Step").click()
        return picture(page)

    before = after_ten_steps()
    turn(page, key, value)
    page.wait_for_function("document.querySelector('.cs-race').dataset.step === '0'")
    assert after_ten_steps() != before
    assert {k: state(page)[k] for k in expected} == expected


@pytest.mark.slow
def test_the_rate_for_all_and_the_speed_count(page):
    turn(page, "common", "common")
    bet(page, "Adam")

    def paths(lr):
        turn(page, "lr", lr)
        page.wait_for_function("document.querySelector('.cs-race').dataset.step === '0'")
        page.get_by_role("button", name="Step").click()
        return picture(page)

    assert paths(-3) != paths(-2) and state(page)["lr"] == pytest.approx(0.01)

    def steps_in_frames(speed):
        turn(page, "speed", speed)
        page.get_by_role("button", name="Restart").click()
        page.get_by_role("button", name="Race!").click()
        return page.evaluate(
            """async () => {
              const root = document.querySelector('.cs-race'), first = Number(root.dataset.frames);
              while (Number(root.dataset.frames) < first + 12) await new Promise(requestAnimationFrame);
              return Number(root.dataset.step);
            }"""
        )

    assert steps_in_frames(1) > 2 * steps_in_frames(0)
    assert state(page)["speed"] == 1


@pytest.mark.slow
def test_a_race_asks_for_a_bet_and_can_be_paused_and_restarted(page):
    page.get_by_role("button", name="Race!").click()
    page.wait_for_timeout(200)
    assert page.locator(".cs-race").get_attribute("data-step") == "0"
    assert "Bet first" in page.locator(".status").inner_text()
    bet(page, "SGD")
    page.get_by_role("button", name="Race!").click()
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Pause").click()
    step = page.locator(".cs-race").get_attribute("data-step")
    page.wait_for_timeout(200)
    assert int(step) > 0 and page.locator(".cs-race").get_attribute("data-step") == step
    page.get_by_role("button", name="Race!").click()
    page.wait_for_function(f"Number(document.querySelector('.cs-race').dataset.step) > {step}")
    page.get_by_role("button", name="Restart").click()
    assert page.locator(".cs-race").get_attribute("data-step") == "0"


@pytest.mark.slow
def test_beales_other_start_is_offered_and_the_seed_draws_the_noise(page):
    turn(page, "surface", "beale")
    control(page, "start").select_option(label="(−1, 1.5)")
    assert (state(page)["surface"], state(page)["start_x"]) == ("beale", -1)
    turn(page, "common", "common")
    turn(page, "lr", -1.52)
    bet(page, "Adam")
    page.get_by_role("button", name="To the end").click()
    assert arrivals(page)[-1] == "> 3,000" and "does not arrive" in status(page)

    def drawn(seed):
        turn(page, "noise", 1)
        turn(page, "seed", seed)
        page.get_by_role("button", name="To the end").click()
        return picture(page)

    first = drawn(1)
    assert drawn(2) != first and drawn(1) == first


@pytest.mark.slow
def test_the_offered_try_is_reached_by_one_alone(page):
    page.get_by_role("button", name="Beale from").click()
    tried = state(page)
    assert (tried["surface"], tried["start_x"], tried["start_y"]) == ("beale", -1, 1.5)
    assert tried["common"]
    page.get_by_role("button", name="Step").click()  # asks for a bet
    page.get_by_role("button", name="To the end").click()
    assert [x.isdigit() for x in arrivals(page)] == [True, False, False, False, False]
    assert status(page).startswith("SGD is first")


@pytest.mark.slow
def test_who_diverges_after_the_race_is_over_has_diverged(chromium, site):
    """Just over the bowl's limit 2/κ SGD grows by half a percent a step: lost long after the others arrived."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    setting = {"kappa": 100.25, "common": True, "lr": 0.02, "bet": "SGD"}
    page.goto(f"{site}/index.html#race:{json.dumps(setting)}")
    page.get_by_role("button", name="To the end").click()
    assert int(page.locator(".cs-race").get_attribute("data-step")) < 2000
    assert arrivals(page)[0] == "diverged" and "does not arrive" in status(page)
    page.close()


@pytest.mark.slow
def test_a_click_and_the_keyboard_choose_the_start(page):
    page.locator("canvas.field").click(position={"x": 100, "y": 100})
    clicked = state(page)
    assert clicked["start_x"] < -3 and clicked["start_y"] > 1
    page.locator("canvas.field").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    moved = state(page)
    assert moved["start_x"] == pytest.approx(clicked["start_x"] + 0.1)
    assert moved["start_y"] == pytest.approx(clicked["start_y"] - 0.5)


@pytest.mark.slow
def test_a_race_can_be_bet_on_and_started_by_keyboard(page):
    page.get_by_role("radio", name="SGD").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("Number(document.querySelector('.cs-race').dataset.step) > 2")
    assert state(page)["bet"] == "momentum"


@pytest.mark.slow
def test_the_address_reproduces_the_setting(page, chromium, site):
    turn(page, "surface", "beale")
    turn(page, "noise", "1")
    turn(page, "common", "common")
    turn(page, "lr", "-1.6")
    bet(page, "RMSProp")
    state(page)
    url = page.url
    assert page.get_by_role("button", name="Copy link").is_visible()
    other = chromium.new_page(viewport={"width": 1280, "height": 1000})
    other.goto(url)
    other.locator(".cs-race tbody tr").first.wait_for()
    page.get_by_role("button", name="Step").click()
    other.get_by_role("button", name="Step").click()
    assert picture(other) == picture(page)
    assert control(other, "surface").input_value() == "beale"
    other.close()


@pytest.mark.slow
def test_a_shared_address_leads_to_the_race_also_on_the_page_that_is_open(chromium, site):
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{site}/far.html")
    page.wait_for_timeout(200)
    assert page.locator(".cs-race").count() == 0  # out of sight, not mounted
    for surface in ("beale", "rosenbrock"):
        page.goto(f'{site}/far.html#race:{{"surface":"{surface}"}}')
        page.wait_for_function(
            "v => document.querySelector('.cs-race [data-k=surface]')?.value === v", arg=surface
        )
        assert page.locator(".cs-race").evaluate("r => r.getBoundingClientRect().top") < 500
    page.close()


@pytest.mark.slow
def test_a_simulation_that_cannot_start_leaves_its_placeholder(chromium, site):
    page = chromium.new_page()
    with page.expect_console_message(lambda m: "could not start" in m.text):
        page.goto(f"{site}/missing.html")
    assert page.locator(".course-sim").inner_text().strip() == "A placeholder."
    assert page.locator(".course-sim > div").count() == 0
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "rubbish",
    [
        "%7B",
        "null",
        '{"surface":"plane"}',
        '{"kappa":"x","nope":1}',
        '{"lr":-1,"start_x":"a","start_y":1}',
    ],
)
def test_an_address_that_makes_no_sense_does_no_harm(chromium, site, rubbish):
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    seen = watch(page, site)
    page.goto(f"{site}/index.html#race:{rubbish}")
    page.locator(".cs-race tbody tr").first.wait_for()
    assert control(page, "surface").input_value() == "bowl" and seen.problems() == []
    page.close()


@pytest.mark.slow
def test_out_of_sight_nothing_is_drawn(page):
    bet(page, "Adam")
    page.get_by_role("button", name="Race!").click()
    page.wait_for_timeout(200)
    page.get_by_text("end", exact=True).scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    frames = page.locator(".cs-race").get_attribute("data-frames")
    page.wait_for_timeout(400)
    assert page.locator(".cs-race").get_attribute("data-frames") == frames


@pytest.mark.slow
def test_in_a_hidden_tab_nothing_is_drawn(page):
    bet(page, "Adam")
    page.get_by_role("button", name="Race!").click()
    page.wait_for_function("Number(document.querySelector('.cs-race').dataset.step) > 2")
    hide = """(hidden) => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(hide, True)
    page.wait_for_timeout(100)
    root = page.locator(".cs-race")
    frames, step = root.get_attribute("data-frames"), root.get_attribute("data-step")
    page.wait_for_timeout(400)
    assert root.get_attribute("data-frames") == frames
    page.evaluate(hide, False)
    page.wait_for_function(f"Number(document.querySelector('.cs-race').dataset.step) > {step}")


@pytest.mark.slow
def test_who_prefers_no_motion_sees_the_finished_race(chromium, site):
    page = chromium.new_page(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    page.goto(f"{site}/index.html")
    page.locator(".cs-race tbody tr").first.wait_for()
    bet(page, "Adam")
    page.get_by_role("button", name="Race!").click()
    assert "–" not in arrivals(page) and "first" in page.locator(".status").inner_text()
    page.close()


@pytest.mark.slow
def test_on_a_phone_nothing_overflows_and_each_control_has_a_name(chromium, site):
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.goto(f"{site}/index.html")
    page.locator(".cs-race tbody tr").first.wait_for()
    for surface in ("bowl", "rosenbrock", "beale"):
        turn(page, "surface", surface)
        turn(page, "noise", 2.5)
        page.wait_for_function(
            "v => document.querySelector('.cs-race .status').textContent.startsWith(v)",
            arg={"bowl": "Elongated"}.get(surface, surface.capitalize()),
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        out = """r => [...r.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right >
          r.getBoundingClientRect().right + 0.5).map(e => e.outerHTML)"""
        assert page.locator(".cs-race").evaluate(out) == []
    for c in page.locator(".cs-race [data-k]").all():
        assert c.evaluate("c => c.labels[0]?.innerText.trim().length > 3")
    page.close()


def test_the_div_holds_the_state_that_the_loader_reads():
    bundle = Sim("race", kappa=7)._repr_mimebundle_()
    div = (bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"]
    assert json.loads(html.unescape(re.search('data-state="([^"]*)"', div)[1]))["kappa"] == 7
