"""A language model or a vision tower handed on: the same numbers for the same input, and nothing that does not fit."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tiny import RECIPE, RECIPES

from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.zoo.build import build
from corehead_lib.zoo.inherit import inherit_language, inherit_vision
from corehead_lib.zoo.turns import corpus


def test_text_means_the_same_to_the_heir(tiny: LoadedModel, tiny_folder: Path) -> None:
    model, processor = build(RECIPES["internvl"], corpus(), seed=1)
    text = "Which digit is on the red star?"
    inputs, theirs = (p.tokenizer(text, return_tensors="pt") for p in (processor, tiny.processor))
    with torch.no_grad():
        expected = tiny.model.model.language_model(**theirs).last_hidden_state
        before = model.model.language_model(**inputs).last_hidden_state
        inherit_language(model, processor, str(tiny_folder))
        after = model.model.language_model(**inputs).last_hidden_state
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(before, expected)
    head = model.get_output_embeddings().weight
    assert torch.equal(head, model.get_input_embeddings().weight)


def test_new_tokens_keep_their_own_embedding(tiny: LoadedModel, tiny_folder: Path) -> None:
    model, processor = build(RECIPES["internvl"], corpus(), seed=1)
    tokens = processor.tokenizer.get_vocab()
    new = [number for token, number in tokens.items() if token not in tiny.processor.tokenizer.get_vocab()]
    before = model.get_input_embeddings().weight.detach().clone()
    inherit_language(model, processor, str(tiny_folder))
    after = model.get_input_embeddings().weight
    assert 0 < len(new) < 10
    assert torch.equal(after[new], before[new])
    moved = (after != before).any(1).sum()
    assert len(before) - len(new) - 1 <= moved <= len(before) - len(new)  # the padding token is zero in both


def test_a_model_of_another_shape_inherits_nothing(tiny_folder: Path) -> None:
    small = deepcopy(RECIPE)
    small["text"]["num_hidden_layers"] = 2
    with pytest.raises(CoreheadError, match="has other parts"):
        inherit_language(*build(small, corpus(), 0), str(tiny_folder))
    small["text"]["intermediate_size"] = 32
    with pytest.raises(CoreheadError, match="does not fit"):
        inherit_language(*build(small, corpus(), 0), str(tiny_folder))


def test_a_larger_model_sees_what_the_smaller_one_sees(tiny: LoadedModel, tiny_folder: Path) -> None:
    large = deepcopy(RECIPE)
    large["text"] |= {"num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4}
    model, _ = build(large, corpus(), seed=1)
    before = deepcopy(model.model.language_model.state_dict())
    patches, grid = torch.randn(16, 3 * 2 * 8 * 8), torch.tensor([[1, 4, 4]])
    inherit_vision(model, str(tiny_folder))
    with torch.no_grad():
        seen, expected = (m.model.visual(patches, grid_thw=grid) for m in (model, tiny.model))
    torch.testing.assert_close(seen.pooler_output, expected.pooler_output)
    torch.testing.assert_close(seen.deepstack_features, expected.deepstack_features)
    assert all(torch.equal(w, before[n]) for n, w in model.model.language_model.state_dict().items())


def test_another_tower_inherits_nothing(tiny_folder: Path) -> None:
    wide = deepcopy(RECIPE)
    wide["vision"]["hidden_size"] = 48
    with pytest.raises(CoreheadError, match="tower does not fit"):
        inherit_vision(build(wide, corpus(), 0)[0], str(tiny_folder))
    with pytest.raises(CoreheadError, match="Only a Qwen3-VL"):
        inherit_vision(build(RECIPES["internvl"], corpus(), 0)[0], str(tiny_folder))
