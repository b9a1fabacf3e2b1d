"""The head explorer: what it holds against eager attention, and what a reader sees on clicking through it in Chromium."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT
from playwright.sync_api import Browser, Locator, Page
from test_book import NOTEBOOKS, View
from test_book import view as view  # a fixture
from tiny import KINDS, eager_attention, noise
from transformers import BatchFeature

from corehead_lib.answers import query_rows, with_answers
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer import Explorer, explorer, query_tokens, some_heads
from corehead_lib.heads import Head, HeadScores
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
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


def unpacked(made: dict, entry: dict) -> tuple[np.ndarray, np.ndarray]:
    """(Q, kept heads, N) weights and (Q, heads, 3) sums: evidence, all else that could be evidence, the first token."""
    rows = len(entry["rows"])
    weight = np.frombuffer(b64decode(entry["weights"]), "u1").reshape(rows, len(made["kept"]), -1)
    sums = np.frombuffer(b64decode(entry["sums"]), "<u2").reshape(rows, -1, 3)
    return (weight / 255) ** 2, sums / 65535


def masks(loaded: LoadedModel, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """(T,) which tokens are the target, and which can be."""
    batch = encode(loaded, [sample])
    target = target_tokens(sample.evidence, batch.cells[0], batch.context[0])
    return target, batch.source[0].numpy()


def all_rows(loaded: LoadedModel, sample: Sample) -> np.ndarray:
    """(layers, heads, T + A, T) attention of eager weights to the prompt, with the gold answer behind it."""
    batch = encode(loaded, [sample])
    inputs, answers = with_answers(batch)
    longer = replace(batch, inputs=BatchFeature(inputs))
    return eager_attention(loaded, longer)[:, 0][..., : -answers.shape[1]]


def expected(loaded: LoadedModel, sample: Sample, queries: str = "last") -> tuple[np.ndarray, np.ndarray]:
    """(layers, heads, T) attention of eager weights, and (T,) which tokens are the target."""
    batch = encode(loaded, [sample])
    rows = query_rows(batch, queries, len(batch.answers[0]))[0].numpy()
    return all_rows(loaded, sample)[:, :, rows].mean(2), masks(loaded, sample)[0]


def test_every_number_is_that_of_eager_attention(family: LoadedModel) -> None:
    made = held(explorer(family, KINDS, scores(family)))
    order = [family.backbone.heads * head.layer + head.head for head in scores(family).ranking()]
    assert made["ranking"] == made["kept"] == order
    assert [entry["question"] for entry in made["samples"]] == [f"{s.question} ({s.answer})" for s in KINDS]
    for sample, entry in zip(KINDS, made["samples"], strict=True):
        batch, attention = encode(family, [sample]), all_rows(family, sample)
        target, source = masks(family, sample)
        length, asked = len(source), batch.question[0].nonzero().flatten().tolist()
        answer = [*range(length - 1, length - 1 + len(batch.answers[0]))]
        singles = answer[1:] if len(answer) > 1 else []
        rows = [
            asked,
            *([q] for q in asked),
            [length - 1],
            *([q] for q in singles),
            *[answer] * bool(singles),
        ]
        assert len(entry["rows"]) == len(set(entry["rows"])) == len(rows)
        weight, sums = unpacked(made, entry)
        assert np.ptp(weight) > 0.01
        for number, row in enumerate(rows):
            wanted = attention[:, :, row].mean(2).reshape(len(order), length)
            assert (
                abs(weight[number] - wanted[order][:, source]) <= wanted[order][:, source] ** 0.5 / 255 + 1e-5
            ).all()
            parts = [wanted[:, target].sum(1), wanted[:, source & ~target].sum(1), wanted[:, 0]]
            np.testing.assert_allclose(sums[number], np.stack(parts, 1), atol=2e-5)
        assert entry["target"] == np.flatnonzero(target[source]).tolist()


@pytest.mark.parametrize("queries", ["last", "question", "answer"])
def test_the_rows_that_ram_is_measured_on_are_shown_first(tiny: LoadedModel, queries: str) -> None:
    made = held(explorer(tiny, KINDS, scores(tiny), queries=queries))  # type: ignore[arg-type]
    for sample, entry in zip(KINDS, made["samples"], strict=True):
        ram = measure_ram(tiny, [encode(tiny, [sample])], queries).ram
        _, sums = unpacked(made, entry)
        np.testing.assert_allclose(sums[entry["row"], :, 0], ram.ravel(), atol=2e-5)


def test_query_tokens_are_named_by_their_text(tiny: LoadedModel) -> None:
    names = list(query_tokens(tiny, encode(tiny, [KINDS[1]])))
    asked = [name.split(": ")[1] for name in names if name.startswith("question, token")]
    assert "".join(asked) == KINDS[1].question.replace(" ", "")
    assert (
        "".join(n.split(": ")[1] for n in names if n.startswith("answer, token")) == "1"
    )  # 2 is written from it


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

    whole = explorer(tiny, KINDS, scores(tiny))
    made = held(whole)
    media = len(
        json.dumps([{k: part[k] for k in ("question", "pictures", "text")} for part in made["samples"]])
    )
    full = sum(len(part["weights"]) + len(part["sums"]) for part in made["samples"])
    fewer = held(explorer(tiny, KINDS, scores(tiny), budget=media + full - 2000))
    assert fewer["kept"] == made["kept"]  # single tokens go first
    written = [len(encode(tiny, [sample]).answers[0]) for sample in KINDS]
    assert [len(part["rows"]) for part in fewer["samples"]] == [2 + (n > 1) for n in written]
    half = sum(len(part["sums"]) + len(part["weights"]) // 2 for part in fewer["samples"])
    small = explorer(tiny, KINDS, scores(tiny), budget=media + half)
    assert 8 <= small.heads <= 9 < whole.heads == 18
    assert len(small.html) < len(whole.html)
    part = held(small)
    assert part["kept"][0] == made["kept"][0]
    assert part["kept"][-1] == made["kept"][-1]
    for entry, more in zip(part["samples"], made["samples"], strict=True):
        row = more["rows"].index(entry["rows"][-1])
        np.testing.assert_array_equal(unpacked(part, entry)[0][-1, -1], unpacked(made, more)[0][row, -1])
        np.testing.assert_array_equal(unpacked(part, entry)[1][-1], unpacked(made, more)[1][row])


def test_the_html_repeats_and_loads_nothing(tiny: LoadedModel) -> None:
    made = explorer(tiny, KINDS, scores(tiny))
    assert made.html == explorer(tiny, KINDS, scores(tiny)).html == made._repr_html_()
    assert repr(made) == "Explorer(samples=5, heads=18)"
    assert set(re.findall(r"\bhttps?://[^\s\"')]+", made.html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r'\bid="', made.html)


def test_a_photograph_stays_small_and_text_cannot_end_the_script(tiny: LoadedModel) -> None:
    photo = Sample("p", "shape", "Which </script> is it?", "7", (noise(640, 480),), (Box(0, 0, 50, 50),))
    made = explorer(tiny, [photo], scores(tiny), budget=250_000)
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


@pytest.fixture
def twice(browser: Browser, tiny: LoadedModel, tmp_path: Path) -> Iterator[Page]:
    """Two explorers on one page, narrow and without a network."""
    html = explorer(tiny, KINDS, scores(tiny)).html
    (tmp_path / "page.html").write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Two</title>"
        f"<style>:root {{ color-scheme: light dark }}</style><main><h1>Two</h1>{html}<hr>{html}</main>"
    )
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


def numbers(root: Locator, slot: str = "A") -> list[float]:
    """Every number that is told about a head: layer, head, rank, heads, score, evidence, target, cells; then the parts of the bar."""
    look = root.get_by_role("group", name=f"Head {slot}", exact=True)
    text = " ".join([look.locator(".told").inner_text(), *look.locator(".parts li").all_inner_texts()])
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)]


def told(loaded: LoadedModel, sample: Sample, head: Head, row: int | None = None) -> list[float]:
    """The numbers that belong there, of one query token (or the last of the prompt)."""
    target, source = masks(loaded, sample)
    attention = all_rows(loaded, sample)[head][len(source) - 1 if row is None else row]
    table = scores(loaded).score
    parts = [attention[target].sum(), attention[source & ~target].sum(), attention[0]]
    return [
        *head,
        1 + int((table > table[head]).sum()),
        table.size,
        table[head],
        parts[0],
        int(target.sum()),
        int(source.sum()),
        *parts,
        1 - sum(parts),
    ]


def select(root: Locator, name: str, value: object) -> None:
    root.locator(f"select[name={name}]").select_option(str(value))


def click(root: Locator, layer: int, head: int, **options: object) -> None:
    root.get_by_role("button", name=re.compile(f"^Layer {layer}, head {head}:")).click(**options)  # type: ignore[arg-type]


@pytest.mark.browser
@pytest.mark.parametrize("number", range(len(KINDS)))
def test_clicking_through_shows_each_head(twice: Page, tiny: LoadedModel, number: int) -> None:
    root = twice.locator(".corehead-explorer").first
    select(root, "sample", number)
    picture = root.locator(".media" if KINDS[number].media else ".words").first
    seen = []
    for head in (Head(0, 5), Head(2, 1), Head(1, 4)):
        click(root, *head)
        np.testing.assert_allclose(numbers(root), told(tiny, KINDS[number], head), atol=1.1e-4)
        seen.append(picture.screenshot())
    assert len(set(seen)) == 3
    asked = encode(tiny, [KINDS[number]]).question[0].nonzero().flatten().tolist()
    select(root, "row", 2)  # after the mean of all
    np.testing.assert_allclose(numbers(root), told(tiny, KINDS[number], head, asked[1]), atol=1.1e-4)
    assert sum(numbers(root)[-4:]) == pytest.approx(1, abs=3e-4)


@pytest.mark.browser
def test_two_heads_stand_side_by_side(twice: Page, tiny: LoadedModel) -> None:
    root, ranking = twice.locator(".corehead-explorer").first, scores(tiny).ranking()
    for slot, head in (("A", ranking[0]), ("B", ranking[-1])):
        np.testing.assert_allclose(numbers(root, slot), told(tiny, KINDS[0], head), atol=1.1e-4)
    click(root, 1, 3, modifiers=["Shift"])
    root.get_by_role("button", name="head B", exact=True).click()
    assert numbers(root, "B")[:2] == [1, 3]
    click(root, 2, 4)
    np.testing.assert_allclose(numbers(root, "B"), told(tiny, KINDS[0], Head(2, 4)), atol=1.1e-4)
    assert numbers(root, "A")[:2] == [*ranking[0]]
    pressed = root.locator(".map button[aria-pressed=true]")
    assert sorted(pressed.evaluate_all("all => all.map(e => e.dataset.slot)")) == ["A", "B"]


@pytest.mark.browser
def test_the_map_is_as_blue_as_the_evidence_gets_attention(twice: Page, tiny: LoadedModel) -> None:
    root = twice.locator(".corehead-explorer").first
    select(root, "sample", 1)
    attention, target = expected(tiny, KINDS[1], "answer")
    select(root, "row", root.locator("[name=row] option").count() - 1)
    mass = attention[..., target].sum(-1).ravel()
    share = root.locator(".map button").evaluate_all(
        "all => all.map(e => +e.style.getPropertyValue('--share'))"
    )
    np.testing.assert_allclose(share, mass / mass.max(), atol=2e-3)


@pytest.mark.browser
def test_cells_are_as_bright_as_their_weight(twice: Page, tiny: LoadedModel) -> None:
    root = twice.locator(".corehead-explorer").first
    click(root, 1, 2)
    attention, _ = expected(tiny, KINDS[0])
    cells = encode(tiny, [KINDS[0]]).cells[0]
    look = root.locator(".look").first
    for stretched in (False, True):
        root.locator("[name=stretch]").set_checked(stretched)
        weight = attention[1, 2, cells.position]
        top = weight.max() if stretched else attention[:, :, cells.position].max()
        veil = look.locator("rect.veil").evaluate_all("all => all.map(e => +e.getAttribute('fill-opacity'))")
        np.testing.assert_allclose(veil, 0.85 * (1 - weight / top), atol=1e-2)
    titles = look.locator("rect.veil title").evaluate_all("all => all.map(e => +e.textContent)")
    np.testing.assert_allclose(titles, weight, atol=weight.max() ** 0.5 / 255 + 1e-3)


@pytest.mark.browser
def test_two_on_a_page_do_not_disturb_each_other(twice: Page, tiny: LoadedModel) -> None:
    one, other = twice.locator(".corehead-explorer").all()
    before = numbers(one)
    select(other, "sample", 2)
    click(other, 2, 3)
    assert numbers(one) == before
    assert numbers(other)[:2] == [2, 3]


@pytest.mark.browser
def test_the_keyboard_is_enough(twice: Page, tiny: LoadedModel) -> None:
    root, press = twice.locator(".corehead-explorer").first, twice.keyboard.press
    ranking = scores(tiny).ranking()
    press("Tab")
    press("ArrowDown")  # the next sample
    np.testing.assert_allclose(numbers(root), told(tiny, KINDS[1], ranking[0]), atol=1.1e-4)
    press("Tab")
    assert twice.evaluate("document.activeElement.name") == "row"
    for _ in range(3):
        press("Tab")
    press("ArrowRight")
    assert numbers(root)[:3] == [*ranking[1], 2]
    press("End")
    assert numbers(root)[2] == 18
    press("Tab")
    press("Tab")
    layer, head = ranking[-1]
    step = {
        (0, 1): "ArrowDown",
        (0, -1): "ArrowUp",
        (1, 0): "ArrowRight",
        (-1, 0): "ArrowLeft",
    }  # turned: narrow
    for move in ((0, 1 if head < 5 else -1), (1 if layer < 2 else -1, 0)):
        press(step[move])
        layer, head = layer + move[0], head + move[1]
        np.testing.assert_allclose(numbers(root), told(tiny, KINDS[1], Head(layer, head)), atol=1.1e-4)
    assert twice.evaluate("document.activeElement.ariaLabel").endswith("shown as A")
    press("Shift+" + step[(0, -1 if head else 1)])
    assert numbers(root, "B")[:2] == [layer, head + (-1 if head else 1)]
    assert numbers(root)[:2] == [layer, head]


@pytest.mark.browser
def test_pictures_are_described_and_nothing_scrolls_sideways(twice: Page) -> None:
    root = twice.locator(".corehead-explorer").first
    for number in range(len(KINDS)):
        select(root, "sample", number)
        pictures = root.locator("svg[role=img]").evaluate_all(
            "all => all.map(e => e.getAttribute('aria-label'))"
        )
        assert all(re.search(r"target: \d\.\d{2} of the head's attention", text) for text in pictures)
        assert twice.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = root.locator(".map button").evaluate_all("all => all.map(e => [e.offsetWidth, e.offsetHeight])")
    assert np.min(sizes) >= 24


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("number", [1, 3])
def test_axe_finds_nothing(twice: Page, mode: str, number: int) -> None:
    twice.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
    root = twice.locator(".corehead-explorer").first
    select(root, "sample", number)
    click(root, 0, 3)
    assert Axe().run(twice, options={"preload": False}).response["violations"] == []


@pytest.mark.browser
def test_shaded_text_is_legible(twice: Page) -> None:
    root = twice.locator(".corehead-explorer").first
    select(root, "sample", 3)
    root.locator("[name=stretch]").check()
    spans = root.locator(".look").first.locator(".words span")
    shares = spans.evaluate_all("all => all.map(e => +e.style.getPropertyValue('--look'))")
    assert max(shares) == 1
    paint = spans.evaluate_all(
        "all => all.map(e => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true}); const s = getComputedStyle(e);"
        " return [s.color, s.backgroundColor].map(p => { c.fillStyle = p; c.fillRect(0, 0, 1, 1);"
        " return [...c.getImageData(0, 0, 1, 1).data.slice(0, 3)]; }); })"
    )
    light = np.array(paint) / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]
    contrast = (light.max(1) + 0.05) / (light.min(1) + 0.05)
    assert contrast.min() >= 4.5
    assert light[np.argmax(shares), 1] < light[np.argmin(shares), 1]  # more attention, more shade


SHOWN = [page for page in NOTEBOOKS if re.search(r"^explorer\(", (ROOT / f"{page}.py").read_text(), re.M)]


@pytest.mark.browser
@pytest.mark.parametrize("page", SHOWN)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_an_explorer_in_the_book(view: View, page: str, mode: str) -> None:
    view.page.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
    view.page.goto(f"/{page}.html", wait_until="load")
    root = view.page.locator(".corehead-explorer").first
    data = json.loads(root.locator("script[type='application/json']").text_content() or "")
    entry = data["samples"][0]
    _, sums = unpacked(data, entry)
    for number in (data["kept"][0], data["kept"][len(data["kept"]) // 2], data["kept"][-1]):
        layer, head = divmod(number, data["shape"][1])
        click(root, layer, head)
        rank = data["ranking"].index(number) + 1
        assert numbers(root)[:4] == [layer, head, rank, len(data["scores"])]
        assert numbers(root)[4] == pytest.approx(data["scores"][number], abs=6e-5)
        np.testing.assert_allclose(numbers(root)[8:11], sums[entry["row"], number], atol=6e-5)
    ink, paper = root.locator(".told").first.evaluate(
        "e => { const paper = x => { const c = getComputedStyle(x).backgroundColor;"
        " return /, 0\\)$/.test(c) && x.parentElement ? paper(x.parentElement) : c; };"
        " return [getComputedStyle(e).color, paper(e)].map(c => c.match(/[\\d.]+/g).slice(0, 3).map(Number)); }"
    )
    assert abs(np.mean(ink) - np.mean(paper)) > 100, (ink, paper)
    assert view.trouble == []
