"""The slides as they are shown: from files, offline, in chromium; `make instructor` makes them."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SLIDES = ROOT / "build/slides"
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
WIDTH, HEIGHT = 1280, 720
# How far down and to the right the slide reaches, in its own pixels, speaker's notes aside
REACH = """() => {
  const slide = Reveal.getCurrentSlide(), scale = Reveal.getScale();
  const origin = document.querySelector(".slides").getBoundingClientRect();
  let right = 0, bottom = 0;
  for (const e of slide.querySelectorAll("*")) {
    if (e.closest("aside, mjx-assistive-mml") || !e.getClientRects().length) continue;
    const box = e.getBoundingClientRect();
    right = Math.max(right, (box.right - origin.left) / scale);
    bottom = Math.max(bottom, (box.bottom - origin.top) / scale);
  }
  return [right, bottom];
}"""


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no chromium found: install the system's package"
    with sync_playwright() as play:
        open_browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield open_browser
        open_browser.close()


@pytest.fixture
def page(browser):
    one = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    one.asked, one.errors = [], []
    one.on("request", lambda request: one.asked.append(request.url))
    one.on("pageerror", lambda error: one.errors.append(str(error)))
    yield one
    one.close()


def open_deck(page, stem):
    path = SLIDES / f"{stem}.html"
    assert path.exists(), "run `make slides` first"
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady() && window.MathJax?.startup?.promise")
    page.evaluate("MathJax.startup.promise")


@pytest.mark.parametrize("stem", LESSONS)
def test_a_deck_opens_offline_and_fits(page, stem):
    open_deck(page, stem)
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(f"Reveal.slide({number}, 0, 99)")  # with all that comes at later keys
        page.wait_for_timeout(20)
        right, bottom = page.evaluate(REACH)
        assert right <= WIDTH + 10, f"slide {number + 1} is {right:.0f} pixels wide"
        assert bottom <= HEIGHT, f"slide {number + 1} is {bottom:.0f} pixels high"
    assert page.errors == []
    assert page.locator("mjx-merror").count() == 0
    dollars = page.locator("section p:not(aside *)").filter(has_text="$")
    assert dollars.count() == 0, "a formula that is not drawn"
    outside = [url for url in page.asked if not url.startswith((SLIDES.as_uri(), "data:"))]
    assert outside == []


def test_the_first_key_shows_the_figure_and_the_speaker_sees_notes(page):
    open_deck(page, LESSONS[1])
    slide = page.evaluate(
        "[...document.querySelectorAll('section section')]"
        ".findIndex(s => s.querySelector('.fragment img'))"
    )
    page.evaluate(f"Reveal.slide({slide})")
    figure = page.locator("section.present section.present .fragment img")
    assert figure.evaluate("e => getComputedStyle(e.closest('.fragment')).visibility") == "hidden"
    page.keyboard.press("Space")
    assert figure.evaluate("e => getComputedStyle(e.closest('.fragment')).visibility") == "visible"
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.filter(has_text="What you may have predicted").wait_for(timeout=10_000)


def test_the_contents_lead_to_each_deck(page):
    page.goto((SLIDES / "index.html").as_uri())
    addresses = page.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert addresses == [f"{stem}.html" for stem in LESSONS]
