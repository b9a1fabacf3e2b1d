"""The head explorer: what it holds against eager attention, and what a reader sees on clicking through it in Chromium."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from playwright.sync_api import Browser, Locator, Page
from test_book import NOTEBOOKS, View
from test_book import view as view  # a fixture
from tiny import KINDS, eager_attention, noise

from corehead_lib import explorer as module
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer import Explorer, explorer, live, some_heads
from corehead_lib.heads import Head, HeadScores
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample
from corehead_lib.targets import target_tokens


def scores(loaded: LoadedModel) -> HeadScores:
    shape = (loaded.backbone.layers, loaded.backbone.heads)
    return HeadScores(np.random.default_rng(3).permuted(np.arange(np.prod(shape)) / 100).reshape(shape))


def held(made: Explorer) -> dict:
    """The data inside the HTML."""
    found = re.search(r'<script type="application/json">(.*?)</script>', made.html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def weights(entry: dict, heads: int) -> np.ndarray:
    return np.frombuffer(b64decode(entry["weights"]), "<u2").reshape(heads, -1) / 65535


def expected(loaded: LoadedModel, sample: Sample, queries: str = "last") -> tuple[np.ndarray, np.ndarray]:
    """(layers, heads, T) attention of eager weights, and (T,) which tokens are the target."""
    batch = encode(loaded, [sample])
    rows = getattr(batch, queries)[0].numpy()
    attention = eager_attention(loaded, batch)[:, 0][:, :, rows].mean(2)
    return attention, target_tokens(sample.evidence, batch.cells[0], batch.context[0])


@pytest.mark.parametrize("queries", ["last", "question"])
def test_weights_are_those_of_eager_attention(family: LoadedModel, queries: str) -> None:
    made = held(explorer(family, KINDS, scores(family), queries=queries))  # type: ignore[arg-type]
    assert [entry["question"] for entry in made["samples"]] == [f"{s.question} ({s.answer})" for s in KINDS]
    for sample, entry in zip(KINDS, made["samples"], strict=True):
        attention, target = expected(family, sample, queries)
        source = encode(family, [sample]).source[0].numpy()
        told = weights(entry, len(made["heads"]))
        assert np.ptp(told) > 0.01
        for row, (layer, head, _, _) in enumerate(made["heads"]):
            np.testing.assert_allclose(told[row], attention[layer, head, source], atol=2e-5)
            sums = [attention[layer, head, where].sum() for where in (target, source)]
            np.testing.assert_allclose(entry["mass"][row], sums, atol=1e-4)
        assert entry["target"] == np.flatnonzero(target[source]).tolist()


def test_every_cell_is_drawn_where_it_looks(family: LoadedModel) -> None:
    for sample, entry in zip(KINDS, held(explorer(family, KINDS, scores(family)))["samples"], strict=True):
        batch = encode(family, [sample])
        number = np.cumsum(batch.source[0].numpy()) - 1
        wanted = {
            (int(number[place]), *np.round(box, 1).tolist())
            for place, box in zip(batch.cells[0].position, batch.cells[0].box, strict=True)
        }
        assert {tuple(cell) for picture in entry["pictures"] for cell in picture["cells"]} == wanted
        assert "".join(text for text, _ in entry["text"]) == sample.context
        tokens = [place for _, place in entry["text"] if place >= 0]
        assert len(tokens) + len(batch.cells[0]) == batch.source.sum()


def test_evidence_is_outlined_in_the_right_picture(tiny: LoadedModel) -> None:
    _, pages, clip, _, mixed = held(explorer(tiny, KINDS, scores(tiny)))["samples"]
    assert [p["evidence"] for p in pages["pictures"]] == [[], [[0, 0, 60, 90]], [[0, 0, 20, 20]]]
    whole = [[0, 0, 64, 48]]
    assert [p["evidence"] for p in clip["pictures"]] == [[], whole, whole, [], [[0, 0, 20, 20]]]
    assert [p["name"] for p in clip["pictures"]] == [f"frame {i}" for i in range(5)]
    assert "".join(text for text, place in mixed["text"] if place in mixed["target"]) == "abc"


def test_heads_that_do_not_fit_are_left_out_from_the_middle(tiny: LoadedModel) -> None:
    ranking = scores(tiny).ranking()
    assert some_heads(ranking, 18) == [(head, rank + 1) for rank, head in enumerate(ranking)]
    few = some_heads(ranking, 8)
    assert [rank for _, rank in few[:2] + few[-2:]] == [1, 2, 17, 18]
    assert len({rank for _, rank in few[2:6]} & set(range(3, 17))) == 4
    assert all(ranking[rank - 1] == head for head, rank in few)

    whole = explorer(tiny, KINDS, scores(tiny), budget=250_000)
    parts = held(whole)["samples"]
    media = len(json.dumps([{key: part[key] for key in ("question", "pictures", "text")} for part in parts]))
    half = sum(len(part["weights"]) for part in parts) // 2
    small = explorer(tiny, KINDS, scores(tiny), budget=media + half)
    assert 8 <= small.heads <= 9 < whole.heads == 18
    assert len(small.html) < len(whole.html)
    row = held(whole)["heads"].index(held(small)["heads"][-1])
    for entry, full in zip(held(small)["samples"], held(whole)["samples"], strict=True):
        np.testing.assert_array_equal(weights(entry, small.heads)[-1], weights(full, 18)[row])


def test_the_html_repeats_and_loads_nothing(tiny: LoadedModel) -> None:
    made = explorer(tiny, KINDS, scores(tiny))
    assert made.html == explorer(tiny, KINDS, scores(tiny)).html == made._repr_html_()
    assert repr(made) == "Explorer(samples=5, heads=18)"
    assert set(re.findall(r"\bhttps?://[^\s\"')]+", made.html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r'\bid="', made.html)


def test_a_photograph_stays_small_and_text_cannot_end_the_script(tiny: LoadedModel) -> None:
    photo = Sample("p", "shape", "Which </script> is it?", "7", (noise(640, 480),), (Box(0, 0, 50, 50),))
    made = explorer(tiny, [photo], scores(tiny))
    assert len(made.html) < 250_000
    assert held(made)["samples"][0]["question"] == "Which </script> is it? (7)"


def test_bad_calls_are_refused(tiny: LoadedModel) -> None:
    with pytest.raises(CoreheadError, match=r"do not belong to a model of \(3, 6\)"):
        explorer(tiny, KINDS, HeadScores(np.zeros((2, 6))))
    with pytest.raises(CoreheadError, match="do not fit into 1000 bytes"):
        explorer(tiny, KINDS, scores(tiny), budget=1000)
    with pytest.raises(CoreheadError, match="0 samples"):
        explorer(tiny, [], scores(tiny))
    with pytest.raises(CoreheadError, match="sum: This sample has no evidence"):
        explorer(tiny, [Sample("sum", "sum", "What is 1 plus 1?", "2", (noise(64, 64),))], scores(tiny))


def test_the_live_view_runs_what_is_chosen(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Explorer] = []
    monkeypatch.setattr(module, "display", shown.append)
    widget = live(tiny, KINDS, scores(tiny))
    widget.update()
    widget.children[0].value = 3
    assert shown[0].html == explorer(tiny, KINDS[:1], scores(tiny)).html
    assert shown[-1].html == explorer(tiny, KINDS[3:4], scores(tiny)).html


@pytest.fixture
def twice(browser: Browser, tiny: LoadedModel, tmp_path: Path) -> Iterator[Page]:
    """Two explorers on one page, narrow and without a network."""
    html = explorer(tiny, KINDS, scores(tiny)).html
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{html}<hr>{html}")
    page = browser.new_page(viewport={"width": 390, "height": 900}, offline=True)
    page.set_default_timeout(15_000)
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text))
    page.on("pageerror", lambda e: trouble.append(str(e)))
    page.on("requestfailed", lambda r: trouble.append(r.url))
    page.goto((tmp_path / "page.html").as_uri())
    yield page
    assert trouble == []
    page.close()


def numbers(root: Locator) -> list[float]:
    """Every number in the sentence that tells about the chosen head."""
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", root.locator(".told").inner_text())]


def told(loaded: LoadedModel, sample: Sample, head: Head) -> list[float]:
    """The numbers that belong there: layer, head, rank, heads, score, target mass, cells, mass on all cells."""
    attention, target = expected(loaded, sample)
    source = encode(loaded, [sample]).source[0].numpy()
    table = scores(loaded)
    mass = attention[head]
    return [
        *head,
        1 + int((table.score > table.score[head]).sum()),
        table.score.size,
        table.score[head],
        mass[target].sum(),
        int(target.sum()),
        int(source.sum()),
        mass[source].sum(),
    ]


def choose(root: Locator, **values: object) -> None:
    for name, value in values.items():
        root.locator(f"select[name={name}]").select_option(str(value))


@pytest.mark.browser
@pytest.mark.parametrize("number", range(len(KINDS)))
def test_clicking_through_shows_each_head(twice: Page, tiny: LoadedModel, number: int) -> None:
    root = twice.locator(".corehead-explorer").first
    choose(root, sample=number)
    picture = root.locator(".media" if KINDS[number].media else ".words")
    seen = []
    for head in (Head(0, 5), Head(2, 1), Head(1, 4)):
        choose(root, layer=head.layer, head=head.head)
        np.testing.assert_allclose(numbers(root), told(tiny, KINDS[number], head), atol=1.1e-4)
        seen.append(picture.screenshot())
    assert len(set(seen)) == 3


@pytest.mark.browser
def test_cells_are_as_bright_as_their_weight(twice: Page, tiny: LoadedModel) -> None:
    root = twice.locator(".corehead-explorer").first
    choose(root, sample=0, layer=1, head=2)
    attention, _ = expected(tiny, KINDS[0])
    cells = encode(tiny, [KINDS[0]]).cells[0]
    for stretched in (False, True):
        root.locator("[name=stretch]").set_checked(stretched)
        weight = attention[1, 2, cells.position]
        top = weight.max() if stretched else attention[:, :, cells.position].max()
        veil = root.locator("rect.veil").evaluate_all("all => all.map(e => +e.getAttribute('fill-opacity'))")
        np.testing.assert_allclose(veil, 0.85 * (1 - weight / top), atol=2e-3)
    titles = root.locator("rect.veil title").evaluate_all("all => all.map(e => +e.textContent)")
    np.testing.assert_allclose(titles, weight, atol=1e-4)


@pytest.mark.browser
def test_two_on_a_page_do_not_disturb_each_other(twice: Page, tiny: LoadedModel) -> None:
    one, other = twice.locator(".corehead-explorer").all()
    before = numbers(one)
    choose(other, sample=2, layer=2, head=3)
    assert numbers(one) == before
    assert numbers(other)[:2] == [2, 3]


@pytest.mark.browser
def test_the_keyboard_is_enough(twice: Page, tiny: LoadedModel) -> None:
    root = twice.locator(".corehead-explorer").first
    ranking = scores(tiny).ranking()
    root.get_by_label("Rank").focus()
    for place in (1, 2, 3):
        twice.keyboard.press("ArrowRight")
        assert numbers(root)[:3] == [*ranking[place], place + 1]
    assert root.locator("select[name=head]").input_value() == str(ranking[3].head)
    twice.keyboard.press("End")
    assert numbers(root)[2] == 18
    root.locator("select[name=sample]").focus()
    twice.keyboard.press("ArrowDown")
    np.testing.assert_allclose(numbers(root), told(tiny, KINDS[1], ranking[-1]), atol=1.1e-4)
    twice.keyboard.press("Tab")
    assert twice.evaluate("document.activeElement.name") == "layer"


@pytest.mark.browser
def test_pictures_are_described_and_nothing_scrolls_sideways(twice: Page) -> None:
    root = twice.locator(".corehead-explorer").first
    for number in range(len(KINDS)):
        choose(root, sample=number)
        pictures = root.locator("svg[role=img]").evaluate_all(
            "all => all.map(e => e.getAttribute('aria-label'))"
        )
        assert all(re.search(r"target: \d\.\d{3} of the head's attention", text) for text in pictures)
        assert twice.evaluate("document.documentElement.scrollWidth") <= 390


SHOWN = [page for page in NOTEBOOKS if re.search(r"^explorer\(", (ROOT / f"{page}.py").read_text(), re.M)]


@pytest.mark.browser
@pytest.mark.parametrize("page", SHOWN)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_an_explorer_in_the_book(view: View, page: str, mode: str) -> None:
    view.page.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
    view.page.goto(f"/{page}.html", wait_until="load")
    root = view.page.locator(".corehead-explorer").first
    data = json.loads(root.locator("script[type='application/json']").text_content() or "")
    for row in (0, len(data["heads"]) // 2, -1):
        layer, head, rank, score = data["heads"][row]
        choose(root, layer=layer, head=head)
        assert numbers(root)[:5] == [layer, head, rank, data["total"], score]
        assert numbers(root)[5] == data["samples"][0]["mass"][row][0]
    ink, paper = root.locator(".told").evaluate(
        "e => { const paper = x => { const c = getComputedStyle(x).backgroundColor;"
        " return /, 0\\)$/.test(c) && x.parentElement ? paper(x.parentElement) : c; };"
        " return [getComputedStyle(e).color, paper(e)].map(c => c.match(/[\\d.]+/g).slice(0, 3).map(Number)); }"
    )
    assert abs(np.mean(ink) - np.mean(paper)) > 100, (ink, paper)
    assert view.trouble == []
