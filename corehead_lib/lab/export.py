"""Writes the lab of a model: a folder that a browser opens, from a server or from the disk."""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from shutil import copyfile
from typing import Any

from safetensors.torch import save

from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores, how_many
from corehead_lib.lab.easel import easel
from corehead_lib.lab.gallery import entry, gallery
from corehead_lib.model_names import find_model
from corehead_lib.models import ZOO, LoadedModel, load_model, weights_checksum
from corehead_lib.ram import measure_ram

HERE = Path(__file__).parent
PAGE = (
    "tensor.js",
    "tower.js",
    "model.js",
    "engine.js",
    "look.js",
    "map.js",
    "easel.js",
    "view.js",
    "lab.js",
    "lab.css",
    "index.html",
)
DATASETS: dict[str, dict[str, Any]] = {
    "scenes": {"anywhere": True},
    "documents": {},
    "clips": {"anywhere": True},
    "haystacks": {},
}
SHARES = (0.05, 0.12)  # of all heads, from the top: the paper's share, and one beyond which little is left
STAMP = "made_of.txt"


def write_lab(model: str, out: Path, each: int = 7, samples: int = 24, if_changed: bool = False) -> bool:
    """Write the page and data.js, with the weights in float16, the gallery and the ranking of heads; say whether it had to.

    each: pictures of every kind. samples: as many of every kind, of the detection set, rank the heads.
    if_changed: do nothing where ``out`` holds the lab of these weights, made by this very code.

    Raises CoreheadError for a model that is no Qwen3-VL, and as ``load_model`` does.
    """
    stamp = _stamp(model, each, samples)
    if if_changed and (out / STAMP).is_file() and (out / STAMP).read_text() == stamp:
        return False
    loaded = load_model(model)
    if loaded.model.config.model_type != "qwen3_vl":
        raise CoreheadError(
            f"{model} is a {loaded.model.config.model_type}; the lab's own forward pass knows Qwen3-VL alone."
        )
    out.mkdir(parents=True, exist_ok=True)
    for name in PAGE:
        copyfile(HERE / name, out / name)
    text = json.dumps(lab_data(loaded, each, samples), separators=(",", ":"), allow_nan=False)
    (out / "data.js").write_text(f"(globalThis.coreheadLab ??= {{}}).data = {text};\n")
    (out / STAMP).write_text(stamp)
    return True


def lab_data(loaded: LoadedModel, each: int, samples: int) -> dict[str, Any]:
    """What data.js holds: name, config, weights, the mean RAM of each head, shares of heads in per cent with their numbers, the gallery, the easel."""
    scores = ranking(loaded, samples)
    state = loaded.model.state_dict()
    if loaded.model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    config = loaded.model.config.to_dict()
    return {
        "name": Path(loaded.name).name,
        "config": {name: part for name, part in config.items() if name.endswith(("_config", "_token_id"))},
        "ram": scores.score.round(4).tolist(),
        "ranking": [list(head) for head in scores.ranking()],
        "ranked_on": samples * len(DATASETS),
        "shares": [[round(100 * share), how_many(share, scores.score.size)] for share in SHARES],
        "easel": easel(loaded),
        "pictures": [entry(loaded, *picture) for picture in gallery(each)],
        "weights": b64encode(save({name: part.half().contiguous() for name, part in state.items()})).decode(),
    }


def ranking(loaded: LoadedModel, samples: int) -> HeadScores:
    """RAM at the last prompt token, the mean over as many held-out questions of every kind."""
    held = [s for d, options in DATASETS.items() for s in load_samples(d, "detection", samples, 0, **options)]
    return HeadScores(measure_ram(loaded, encode_all(loaded, held), "last").ram)


def _stamp(model: str, each: int, samples: int) -> str:
    """What the lab is made of: weights, code of the package, and how many of everything."""
    digest = sha256()
    for path in sorted(p for p in HERE.parent.rglob("*") if p.suffix in (".py", ".js", ".css", ".html")):
        digest.update(path.read_bytes())
    source = find_model(model, ZOO)
    weights = weights_checksum(source) if isinstance(source, Path) else str(source)
    return f"{model} {weights} {digest.hexdigest()} {each} {samples}\n"
