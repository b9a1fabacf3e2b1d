"""The vision tower's own lessons: cells are labelled with what they show, and no language model takes part."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CELL, RECIPES

from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds.synthetic import make_scene
from corehead_lib.zoo.training import tower
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.tower import FACETS, Picture, draw_picture, embed, inherit_tower, label_cells
from corehead_lib.zoo.training.turns import corpus


def asked(picture: Picture) -> Sample:
    return Sample("tower", "name", "Look.", "0", (picture.image,), (), ())


def test_a_cell_is_named_after_what_covers_it_most(tiny: LoadedModel) -> None:
    image = Image.new("RGB", (6 * CELL, 4 * CELL))
    star = {"shape": "star", "colour": "red", "digit": "7", "word": "none"}
    cat = {"shape": "none", "colour": "white", "digit": "3", "word": "cat"}
    things = ((Box(0, 0, 1.6 * CELL, CELL), star), (Box(1.6 * CELL, 0, 3.1 * CELL, CELL), cat))
    picture = Picture(image, things, "black")
    labels = label_cells(encode(tiny, [asked(picture)]), [picture])
    names = {
        facet: [FACETS[facet][n] if n >= 0 else None for n in labels[facet][:5].tolist()] for facet in FACETS
    }
    assert names["shape"] == [
        "star",
        "star",
        "none",
        None,
        "none",
    ]  # the fourth: a tenth of it is not asked about
    assert names["word"] == ["none", "none", "cat", None, "none"]
    assert names["digit"] == ["7", "7", "3", None, "none"]
    assert names["colour"] == ["red", "red", "white", None, "black"]


def test_every_picture_says_what_it_shows() -> None:
    kinds = set()
    for seed in range(40):
        picture = draw_picture(np.random.default_rng(seed))
        kinds.add((picture.image.size, picture.ground))
        for box, facets in picture.things:
            assert set(facets) == set(FACETS)
            assert all(value in FACETS[facet] for facet, value in facets.items())
            assert box.x1 <= picture.image.width
    assert len(kinds) > 5


def test_what_is_learned_from_is_what_the_language_model_gets(family: LoadedModel) -> None:
    scene = make_scene(np.random.default_rng(0), unique=True, size=(96, 96))
    batch = encode(family, [Sample("a", "t", "Look.", "0", (scene.image,), (), ())])
    seen: list[torch.Tensor] = []
    language = family.model.model.language_model
    hook = language.register_forward_pre_hook(
        lambda module, arguments, named: seen.append(named["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        family.model(**batch.inputs)
        hook.remove()
        given = embed(family.model, batch)
    expected = seen[0][0, torch.from_numpy(batch.cells[0].position)]
    if not hasattr(family.model.config.vision_config, "deepstack_visual_indexes"):
        torch.testing.assert_close(given, expected)
    assert given.shape == expected.shape
    assert not language._forward_pre_hooks


@pytest.mark.parametrize("name", RECIPES)
def test_a_tower_is_handed_on_whole_and_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tower, "TOWERS", tmp_path)
    (one, _), (other, _) = (build(RECIPES[name], corpus(), seed) for seed in (1, 2))
    before = {key: weight.clone() for key, weight in other.state_dict().items()}
    path = tower.keep_tower(one, "eyes", {"digit": 0.5})
    assert path.name == "eyes.safetensors"
    inherit_tower(other, "eyes")
    for key, weight in other.state_dict().items():
        if key.startswith(tower.LANGUAGE):
            assert torch.equal(weight, before[key])
        else:
            torch.testing.assert_close(weight, one.state_dict()[key].half().float())
    with pytest.raises(CoreheadError, match="There is no vision tower 'ears'"):
        inherit_tower(other, "ears")
    wide = {**RECIPES[name], "text": {**RECIPES[name]["text"], "hidden_size": 64}}
    with pytest.raises(CoreheadError, match="does not fit this model"):
        inherit_tower(build(wide, corpus(), 0)[0], "eyes")
