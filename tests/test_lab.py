"""The live lab: opened from the disk in Chromium, it must say what PyTorch says, and be usable by anybody."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.interventions import ZeroAblation
from corehead_lib.lab.easel import SIDE, UNIT, layers
from corehead_lib.lab.export import write_lab
from corehead_lib.lab.gallery import KINDS, gallery
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import mass
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS, SHAPES, sprite

MODEL = "tiny-qwen3-vl"
EACH = 7
TOLERANCE = 1e-3
ANSWER = re.compile(r"the model says (.+?) \((\d\.\d\d)\)")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `corehead lab` writes."""
    out = tmp_path_factory.mktemp("lab")
    assert write_lab(MODEL, out, EACH, samples=4)
    return out


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(MODEL)


@pytest.fixture(scope="module")
def pictures() -> list[list[Sample]]:
    return [samples for _, _, samples in gallery(EACH)]


@pytest.fixture(scope="module")
def data(lab: Path) -> dict:
    return json.loads((lab / "data.js").read_text().split(" = ", 1)[1].rstrip(";\n"))


@pytest.fixture(params=[1280, 390])
def page(request: pytest.FixtureRequest, browser: Browser, lab: Path) -> Iterator[Page]:
    """The lab as it opens from the disk; nothing may go wrong, and nothing may be asked of another place."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.set_default_timeout(60_000)
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text))
    page.on("pageerror", lambda e: trouble.append(str(e)))
    page.on("requestfailed", lambda r: trouble.append(f"failed: {r.url}"))
    allowed = (lab.as_uri(), "data:")
    page.on("request", lambda r: None if r.url.startswith(allowed) else trouble.append(f"remote: {r.url}"))
    page.goto((lab / "index.html").as_uri())
    yield page
    assert trouble == []
    page.close()


def start(page: Page) -> None:
    page.get_by_role("button", name="Start the lab").click()
    page.wait_for_selector(".bar")


def probabilities(loaded: LoadedModel, sample: Sample, off: list[Head]) -> np.ndarray:
    """PyTorch's chances of the next token."""
    batch = encode(loaded, [sample])
    with torch.inference_mode(), ZeroAblation(off)(loaded.model):
        return loaded.model(**batch.inputs, logits_to_keep=1).logits[0, -1].softmax(-1).numpy()


def told(page: Page) -> tuple[str, float]:
    found = ANSWER.search(page.locator(".answer").inner_text())
    assert found is not None
    return found[1], float(found[2])


def expected(loaded: LoadedModel, sample: Sample, off: list[Head]) -> tuple[str, float]:
    """What the lab is to say: the likeliest of the options and of all else, by the first token of each."""
    chances = probabilities(loaded, sample, off)
    tokens = [loaded.processor.tokenizer(o, add_special_tokens=False)["input_ids"][0] for o in sample.options]
    mine = dict(zip(sample.options, chances[tokens].tolist(), strict=True))
    mine["something else"] = 1 - sum(mine.values())
    best = max(mine, key=lambda option: mine[option])
    return best, mine[best]


def test_the_gallery_has_all_kinds_and_repeats(pictures: list[list[Sample]]) -> None:
    assert len(pictures) == EACH * len(KINDS) >= 24
    for samples, (_, shown, again) in zip(pictures, gallery(EACH), strict=True):
        assert [s.question for s in samples] == [s.question for s in again]
        assert len({s.question for s in samples}) == len(samples) >= 3
        assert all(f"{s.answer}" in shown for s in samples if s.evidence)
        assert sum(not s.evidence for s in samples) == 2


def test_it_is_small_and_waits_to_be_asked(lab: Path) -> None:
    assert sum(path.stat().st_size for path in lab.iterdir()) < 10e6
    page = (lab / "index.html").read_text()
    assert "data.js" not in page
    assert "lab.js" in page


def test_it_is_made_once(lab: Path) -> None:
    before = (lab / "data.js").stat().st_mtime_ns
    assert not write_lab(MODEL, lab, EACH, samples=4, if_changed=True)
    assert (lab / "data.js").stat().st_mtime_ns == before


def test_another_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match="tiny-internvl is a internvl"):
        write_lab("tiny-internvl", tmp_path)


ASK = """async ([picture, off, sources]) => {
    const { engine, mass } = coreheadLab, heads = [...Array(engine.heads).keys()];
    return Promise.all(sources.map(async (places, question) => {
        const { probabilities, looks } = await engine.ask(picture, question, off), tokens = looks[0].length / engine.heads;
        return [[...probabilities], looks.map((look) => heads.map((head) => mass(look, head, tokens, places)))];
    }));
}"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("page", [1280], indirect=True)
def test_every_answer_is_that_of_pytorch(
    page: Page, loaded: LoadedModel, pictures: list[list[Sample]], data: dict
) -> None:
    start(page)
    top = [Head(*head) for head in data["ranking"][: data["shares"][1][1]]]
    for number, samples in enumerate(pictures):
        batch = encode(loaded, samples)
        padding = (batch.inputs["attention_mask"] == 0).sum(1, keepdim=True)
        sources = [
            (row.nonzero()[:, 0] - pad).tolist() for row, pad in zip(batch.source, padding, strict=True)
        ]
        for heads in ([], top):
            off = [layer * loaded.backbone.heads + head for layer, head in heads]
            said = page.evaluate(ASK, [number, off, sources])
            with torch.inference_mode(), ZeroAblation(heads)(loaded.model):
                wanted = loaded.model(**batch.inputs, logits_to_keep=1).logits[:, -1].softmax(-1).numpy()
                ram = mass(loaded, batch, batch.source, "last")
            np.testing.assert_allclose([chances for chances, _ in said], wanted, atol=TOLERANCE)
            np.testing.assert_allclose([looks for _, looks in said], ram, atol=TOLERANCE)


def test_sprites_are_the_sum_of_their_layers() -> None:
    parts, many = layers() / UNIT, len(SHAPES)
    wrong, pixels = 0, 0
    for number, shape in enumerate(SHAPES):
        for digit, (name, colour) in enumerate(COLOURS.items()):
            ground = list(BACKGROUNDS.values())[number % 3]
            wanted = Image.new("RGB", (SIDE, SIDE), ground)
            wanted.paste(drawing := sprite(shape, name, str(digit), SIDE), (0, 0), drawing)
            alpha, paint, badge = (parts[i][..., None] for i in (number, many + number, 2 * many + digit))
            ink = (np.array(colour) * paint + 255 * badge).clip(0, 255)
            off = np.abs(np.array(ground) * (1 - alpha) + ink - np.asarray(wanted)).max(-1)
            wrong, pixels = wrong + (off > 4).sum(), pixels + off.size
    assert wrong < 0.005 * pixels


OWN = """async () => {
    const { engine, Easel, data } = coreheadLab, easel = await Easel.from(data.easel);
    easel.background = "grey";
    easel.things.set(15, { shape: "bow", colour: "yellow", digit: "5" });
    const picture = easel.picture(), said = [];
    for (const question of picture.questions) {
        const { probabilities } = engine.model.run(await engine.prompt(picture, question));
        said.push([question.text, question.answer, question.boxes, question.targets, [...probabilities]]);
    }
    return [[...picture.frames[0]], said];
}"""


@pytest.mark.browser
@pytest.mark.parametrize("page", [1280], indirect=True)
def test_a_scene_of_ones_own_is_answered_as_by_pytorch(page: Page, loaded: LoadedModel) -> None:
    start(page)
    pixels, said = page.evaluate(OWN)
    image = Image.fromarray(np.array(pixels, np.uint8).reshape(4 * SIDE, 4 * SIDE, 3))
    things = {"star": "4", "moon": "7", "circle": "2", "bow": "5"}
    right = {f"Which digit is on the {shape}?": digit for shape, digit in things.items()}
    assert right.items() <= {text: answer for text, answer, *_ in said}.items()
    assert "Which digit is on the red shape?" not in [text for text, *_ in said]  # there are two
    drawing = sprite("star", "red", "4", SIDE)
    wanted = Image.new("RGB", (SIDE, SIDE), BACKGROUNDS["grey"])
    wanted.paste(drawing, (0, 0), drawing)
    star = np.asarray(image.crop((SIDE, 0, 2 * SIDE, SIDE)), int)
    assert (np.abs(star - np.asarray(wanted)).max(-1) > 4).mean() < 0.005
    for text, answer, boxes, targets, chances in said:
        evidence = tuple(Box(*box[1:]) for box in boxes)
        sample = Sample("", "", text, answer, (image,), evidence, (answer,))
        np.testing.assert_allclose(chances, probabilities(loaded, sample, []), atol=TOLERANCE)
        found = encode(loaded, [sample]).targets()[0].nonzero().flatten().tolist() if evidence else []
        assert targets == found


@pytest.mark.browser
def test_drawing_takes_a_keyboard_and_a_finger(page: Page) -> None:
    start(page)
    page.get_by_role("radio", name="Your own", exact=True).check()
    page.get_by_label("shape", exact=True).select_option("heart")
    page.get_by_role("button", name="row 4, column 4: empty").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="row 4, column 4: green heart with a 9").count() == 1
    page.locator(".question select").select_option("Which digit is on the heart?")
    page.wait_for_function("document.querySelectorAll('.media svg').length === 1")
    assert ANSWER.search(page.locator(".answer").inner_text())
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    for place in range(16):
        if page.locator(".places button").nth(place).get_attribute("aria-label").endswith("empty"):  # type: ignore[union-attr]
            page.locator(".places button").nth(place).click()
    assert page.locator(".places button:not([aria-label$=empty])").count() == 8
    assert "8 shapes are the most" in page.locator(".easel .hint").inner_text()
    page.get_by_role("button", name="clear").click()
    assert page.locator(".question option").all_inner_texts() == ["Which colour is the background?"]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    assert axe.run(page, options={"preload": False}).response["violations"] == []


@pytest.mark.browser
def test_clicks_change_answer_and_map(
    page: Page, loaded: LoadedModel, pictures: list[list[Sample]], data: dict
) -> None:
    start(page)
    first = pictures[0][0]
    ranked = [Head(*head) for head in data["ranking"]]
    (_, few), (_, more) = data["shares"]
    assert (few, more) == (round(0.05 * len(ranked)), round(0.12 * len(ranked)))
    presets = {"the top 5 %": ranked[:few], "the top 12 %": ranked[:more], "the lowest": ranked[-more:]}
    for name, off in {**presets, "top 40": ranked[:40], "none: all on": []}.items():
        if name == "top 40":
            page.get_by_label("Switch off the top").fill("40")
            page.get_by_label("Switch off the top").press("Enter")
        else:
            page.get_by_role("button", name=name, exact=True).click()
        said, wanted = told(page), expected(loaded, first, off)
        assert said[0] == wanted[0]
        assert said[1] == pytest.approx(wanted[1], abs=0.006)
        assert page.locator(".map button[aria-checked=false]").count() == len(off)
    layer, head = data["ranking"][0]
    best = page.get_by_role("switch", name=re.compile(rf"^Layer {layer}, head {head}:"))
    best.click()
    assert best.get_attribute("aria-checked") == "false"
    assert told(page)[1] == pytest.approx(expected(loaded, first, [Head(layer, head)])[1], abs=0.006)
    batch = encode(loaded, [first])
    ram = mass(loaded, batch, batch.targets(), "last")[0, layer, head]
    assert float((best.get_attribute("aria-label") or "").split(": ")[1]) == pytest.approx(ram, abs=1e-3)
    assert f"Layer {layer}, head {head}, off: {ram:.2f}" in page.locator(".told").inner_text()


@pytest.mark.browser
def test_others_are_of_the_same_layers(page: Page, data: dict) -> None:
    start(page)
    page.get_by_role("button", name="the top 12 %", exact=True).click()
    page.get_by_role("button", name="others of the same layers").click()
    labels = page.locator(".map button[aria-checked=false]").evaluate_all(
        "all => all.map(e => e.ariaLabel.match(/\\d+/g).slice(0, 2).map(Number))"
    )
    top = data["ranking"][: data["shares"][1][1]]
    assert sorted(layer for layer, _ in labels) == sorted(layer for layer, _ in top)
    assert not [head for head in labels if head in top]


@pytest.mark.browser
def test_the_keyboard_is_enough(page: Page, loaded: LoadedModel, pictures: list[list[Sample]]) -> None:
    press = page.keyboard.press
    press("Tab")
    press("Enter")
    page.wait_for_selector(".bar")
    page.get_by_role("radio", name="Scenes").focus()
    for _ in range(3):
        press("ArrowRight")  # to the texts
    press("Tab")
    press("ArrowRight")  # to the second of them
    press("Tab")
    press("ArrowDown")  # to its second question
    sample = pictures[3 * EACH + 1][1]
    page.wait_for_function(
        f"document.querySelector('.question select').selectedOptions[0].text === {sample.question!r}"
    )
    page.wait_for_timeout(1000)
    assert told(page)[0] == expected(loaded, sample, [])[0]
    page.locator(".map button[tabindex='0']").focus()
    turned = page.viewport_size is not None and page.viewport_size["width"] < 600
    press("ArrowRight")
    press("ArrowDown" if turned else "ArrowUp")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("Layer 1, head 1:")
    press("Space")
    assert told(page)[1] == pytest.approx(expected(loaded, sample, [Head(1, 1)])[1], abs=0.006)


@pytest.mark.browser
def test_it_fits_a_screen_and_a_finger(page: Page) -> None:
    start(page)
    width = page.viewport_size["width"]  # type: ignore[index]
    for kind in ("Scenes", "Documents", "Clips", "Texts"):
        page.get_by_role("radio", name=kind, exact=True).check()
        page.wait_for_timeout(800)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.locator(".map button").evaluate_all("all => all.map(e => [e.offsetWidth, e.offsetHeight])")
    assert np.min(sizes) >= 24
    pictures = page.locator("svg[role=img]").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert all("of this head's attention" in text for text in pictures)


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing(page: Page, mode: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
    start(page)
    page.get_by_role("button", name="the top 12 %", exact=True).click()
    assert axe.run(page, options={"preload": False}).response["violations"] == []
