"""The rendered book: first as files, then in a browser, on a wide and on a narrow screen."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urldefrag

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from conftest import ROOT
from playwright.sync_api import Browser, Page

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]
REMOTE = re.compile(r"^(https?:)?//")
UNFOLD = "document.querySelectorAll('article .toggle-hidden .toggle-button, article details:not([open]) > summary').forEach(e => e.click())"
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}

each = pytest.mark.parametrize("page", PAGES)


def soup(html: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")


def article(html: Path, page: str) -> Tag:
    found = soup(html, page).select_one("article.bd-article")
    assert found is not None
    return found


@each
def test_one_title(html: Path, page: str) -> None:
    assert len(article(html, page).find_all("h1")) == 1


@each
def test_nothing_is_loaded_from_elsewhere(html: Path, page: str) -> None:
    tags = [
        (t, str(t.get(attribute, ""))) for name, attribute in LOADING.items() for t in soup(html, page)(name)
    ]
    assert len(tags) > 10
    assert not [str(t) for t, address in tags if REMOTE.match(address)]


def test_no_style_loads_from_elsewhere(html: Path) -> None:
    styles = list((html / "_static").rglob("*.css"))
    assert len(styles) > 3
    remote = re.compile(r"(url\(|@import)\s*['\"]?(https?:)?//")
    assert not [s for s in styles if remote.search(s.read_text(encoding="utf-8"))]


@each
def test_pictures_say_what_they_show(html: Path, page: str) -> None:
    for picture in article(html, page).select("img"):
        alt = str(picture.get("alt", ""))
        assert len(alt) > 15, picture
        assert not re.search(r"/|\.(png|svg|jpe?g)\b", alt), picture


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_figures_are_numbered_and_exercises_solved(html: Path, page: str) -> None:
    body = article(html, page)
    figures = body.select("figure")
    assert figures
    for figure in figures:
        number = figure.select_one("figcaption .caption-number")
        assert number is not None
        assert re.match(r"Fig\. \d+", number.text)
    exercises = body.select("div.exercise")
    assert exercises or page == TOC["root"]
    assert len(exercises) == len(body.select("div.solution"))


def test_a_figure_is_cited_from_another_page(html: Path) -> None:
    cited = [a for p in PAGES for a in article(html, p).select("a.reference.internal[href*='.html#fig-']")]
    assert [a for a in cited if re.fullmatch(r"Fig\. \d+", a.text)]


@each
def test_links_inside_the_book_lead_somewhere(html: Path, page: str) -> None:
    here = html / f"{page}.html"
    links = [str(a["href"]) for a in soup(html, page).select("a[href]")]
    inside = [link for link in links if not re.match(r"^([a-z]+:|//)", link)]
    assert inside
    for link in inside:
        path, fragment = urldefrag(unquote(link))
        target = (here.parent / path).resolve() if path else here
        assert target.is_file(), link
        if fragment and target.suffix == ".html":
            text = target.read_text(encoding="utf-8")
            assert f'id="{fragment}"' in text or f'name="{fragment}"' in text, link


def test_chapters_have_the_numbers_of_the_commands_in_the_sidebar(html: Path) -> None:
    links = soup(html, TOC["root"]).select(".bd-sidebar a.internal[href*='_']")
    shown = {Path(unquote(str(a["href"]))).stem: " ".join(a.text.split()) for a in links}
    chapters = [page.partition("/")[2] for page in NOTEBOOKS if page != TOC["root"]]
    assert len(chapters) >= 10
    assert not [c for c in chapters if not shown[c].startswith(f"{c[:2]} ")]


def test_each_number_leads_to_a_cell(html: Path) -> None:
    links = [str(a["href"]) for a in article(html, "book/results").select("a[href*='#cell-']")]
    assert len(links) > 100
    assert {Path(urldefrag(link)[0]).stem for link in links} == {
        p[10:] for p in NOTEBOOKS if p != TOC["root"]
    }


def test_the_book_shows_the_card_of_each_model(html: Path) -> None:
    titles = [h.text.rstrip("#") for h in article(html, "book/models").select("h2")]
    zoo = ROOT / "corehead_lib" / "zoo"
    cards = [path.parent.name for path in zoo.glob("*/config.json")]
    assert sorted(cards) == sorted(t for t in titles if t in cards)


def test_what_was_not_measured_is_a_dash(html: Path) -> None:
    cells = [td.text for page in NOTEBOOKS for td in article(html, page).select("td")]
    assert "–" in cells
    assert "NaN" not in cells


@dataclass
class View:
    """A page in a browser window of one width, and what went wrong in it."""

    page: Page
    width: int
    trouble: list[str] = field(default_factory=list)

    def watch(self, site: str) -> None:
        complain = self.trouble.append
        self.page.on("console", lambda m: complain(f"console: {m.text}") if m.type == "error" else None)
        self.page.on("pageerror", lambda e: complain(f"script: {e}"))
        self.page.on("requestfailed", lambda r: complain(f"failed: {r.url}"))
        self.page.on("response", lambda r: complain(f"{r.status}: {r.url}") if r.status >= 400 else None)
        self.page.on(
            "request", lambda r: None if r.url.startswith((site, "data:")) else complain(f"remote: {r.url}")
        )


@pytest.fixture(params=[1280, 390])
def view(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[View]:
    page = browser.new_page(viewport={"width": request.param, "height": 900}, base_url=site)
    page.set_default_timeout(15_000)
    opened = View(page, request.param)
    opened.watch(site)
    yield opened
    page.close()


@pytest.mark.browser
@each
def test_a_page_in_the_browser(view: View, page: str) -> None:
    look = view.page
    look.goto(f"/{page}.html", wait_until="networkidle")
    if look.locator("article .math").count():
        look.wait_for_selector("article mjx-container svg")
    look.evaluate(UNFOLD)
    for picture in look.locator("article img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("e => e.decode().then(() => e.naturalWidth)") > 0
        box = picture.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 10
    assert look.evaluate("document.documentElement.scrollWidth") <= view.width, "the page scrolls sideways"
    assert view.trouble == []


@pytest.mark.browser
def test_search_by_keyboard(view: View) -> None:
    look = view.page
    look.goto(f"/{PAGES[0]}.html", wait_until="networkidle")
    look.keyboard.press("Control+k")
    look.keyboard.type("layer-matched")
    look.keyboard.press("Enter")
    look.wait_for_url("**/search.html?q=layer-matched**")
    look.wait_for_selector("#search-results li a")
    assert look.locator("#search-results li a[href*='glossary']").count()
    assert view.trouble == []


GRAVE = ("serious", "critical")
AXE = {"rules": {"label-content-name-mismatch": {"enabled": True}}, "resultTypes": ["violations"]}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_nothing_grave_for_those_who_cannot_see_or_point(
    browser: Browser, site: str, page: str, scheme: Literal["light", "dark"]
) -> None:
    look = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme, base_url=site)
    look.goto(f"/{page}.html{'?q=head' * (page == 'search')}", wait_until="networkidle")
    look.evaluate(UNFOLD)
    look.wait_for_timeout(500)
    found = Axe().run(look, options=AXE).response["violations"]
    look.close()
    grave = [v for v in found if v["impact"] in GRAVE]
    assert not [(v["id"], node["html"][:200]) for v in grave for node in v["nodes"]]


@pytest.fixture(scope="module")
def phone(browser: Browser, site: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 390, "height": 844}, base_url=site)
    yield page
    page.close()


SMALLEST = 9  # CSS pixels of the smallest label of a figure that was tapped open


@pytest.mark.browser
@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_tapped_figure_opens_at_its_own_size(phone: Page, page: str) -> None:
    phone.goto(f"/{page}.html", wait_until="networkidle")
    for figure in phone.locator("article figure img").all():
        figure.evaluate("e => e.click()")  # also where it is folded
        large = phone.locator("dialog[open] img")
        assert (
            large.evaluate("e => e.decode().then(() => e.getBoundingClientRect().width / e.naturalWidth)")
            == 1
        )
        assert large.get_attribute("alt") == figure.get_attribute("alt")
        phone.get_by_role("button", name="Close", exact=True).click()
        assert not phone.locator("dialog[open]").count()


def test_no_label_is_drawn_smaller_than_can_be_read() -> None:
    """A figure is opened at one CSS pixel to a pixel, so that what is drawn is what is seen."""
    style = dict(
        re.findall(r"(?m)^([\w.]+): (.*?)(?: #.*)?$", (ROOT / "corehead_lib/corehead.mplstyle").read_text())
    )
    pixels = float(style["figure.dpi"]) / 72
    drawn = [ROOT / "corehead_lib/plots.py", *(ROOT / "notebooks").glob("*.py")]
    sizes = [
        (path.name, float(size))
        for path in drawn
        for size in re.findall(r"(?:font)?size(?:=|: float = )([\d.]+)", path.read_text())
    ]
    assert len(sizes) > 5
    assert not [found for found in sizes if found[1] * pixels < SMALLEST]
    assert (
        float(style["font.size"]) * 0.833 * pixels >= SMALLEST
    )  # "small", the least that matplotlib picks by itself


@pytest.mark.browser
@pytest.mark.parametrize("page", PAGES)
def test_print_is_light_wraps_code_and_has_no_empty_frames(browser: Browser, site: str, page: str) -> None:
    look = browser.new_page(viewport={"width": 720, "height": 1000}, color_scheme="dark", base_url=site)
    look.goto(f"/{page}.html", wait_until="networkidle")
    look.emulate_media(media="print")
    look.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert look.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    )
    wide = "[...document.querySelectorAll('article pre')].filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1)"
    assert look.evaluate(f"{wide}.map(e => e.textContent.slice(0, 80))") == []
    frames = "[...document.querySelectorAll('article :is(.cell, details, .admonition, .cell_input)')].filter(e => e.offsetHeight > 2)"
    assert (
        look.evaluate(
            f"{frames}.filter(e => !e.innerText.trim() && !e.querySelector('img, svg')).map(e => e.outerHTML.slice(0, 200))"
        )
        == []
    )
    look.close()
