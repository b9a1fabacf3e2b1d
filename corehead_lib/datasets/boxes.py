"""How each family of models writes a box: in thousandths of the picture, in fractions, or in pixels of what it was shown.

Sources: thousandths for Qwen2-VL and Qwen3-VL (github.com/QwenLM/Qwen3-VL, issues 866 and 1486, cookbooks), InternVL (its chat
data format, "Grounding / Detection Data") and GLM-V; pixels of the resized picture for Qwen2.5-VL (same repository, issue
676); fractions of the source picture for LLaVA-OneVision (lmms-eval, refcoco_rec).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from corehead_lib.errors import CoreheadError
from corehead_lib.media import budget
from corehead_lib.models import LoadedModel

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1
THOUSANDTHS, FRACTIONS, PIXELS = "thousandths", "fractions", "pixels"
CONVENTIONS = {
    **dict.fromkeys(("qwen2_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"), THOUSANDTHS),
    **dict.fromkeys(("internvl", "glm4v", "glm4v_moe", "glm46v"), THOUSANDTHS),
    "qwen2_5_vl": PIXELS,
    "llava_onevision": FRACTIONS,
}
ASKED = {
    THOUSANDTHS: "in thousandths of the picture's width and height",
    FRACTIONS: "as fractions of the picture's width and height, between 0 and 1",
    PIXELS: "in pixels",
}
NUMBER = r"-?\d+(?:\.\d+)?"
BRACKETS = re.compile(rf"[\[(]\s*{NUMBER}(?:[\s,()\[\]]+{NUMBER}){{3}}\s*[\])]")
BARE = re.compile(rf"\s*{NUMBER}(?:[\s,;]+{NUMBER}){{3}}\s*\.?\s*")


@dataclass(frozen=True)
class Convention:
    """How one model writes boxes about a picture of ``size`` (width, height) that it is shown in ``shown`` pixels."""

    kind: str
    size: tuple[int, int]
    shown: tuple[int, int]

    @property
    def units(self) -> Corners:
        """How many of the model's units make the picture's width and height, for each corner."""
        whole: dict[str, tuple[float, float]] = {THOUSANDTHS: (1000, 1000), FRACTIONS: (1, 1)}
        return whole.get(self.kind, self.shown) * 2

    def read(self, text: str) -> Corners | None:
        """Return the first box in a model's answer, in pixels of the source; None if there is none in its units.

        A box is four numbers, x0, y0, x1, y1, in brackets of any kind, or nothing but four numbers. Numbers that leave the
        picture by more than a hundredth of it are in some other units: no guess is made which.
        """
        found = BRACKETS.search(text) or BARE.fullmatch(text)
        if not found:
            return None
        parts = [float(n) / unit for n, unit in zip(re.findall(NUMBER, found[0]), self.units, strict=True)]
        if not all(-0.01 <= part <= 1.01 for part in parts):
            return None
        x0, y0, x1, y1 = (part * pixels for part, pixels in zip(parts, self.size * 2, strict=True))
        return x0, y0, x1, y1

    def write(self, box: Sequence[float]) -> str:
        """Return a box, in pixels of the source, as the model would write it."""
        parts = [v / pixels * unit for v, pixels, unit in zip(box, self.size * 2, self.units, strict=True)]
        digits = ".3f" if self.kind == FRACTIONS else ".0f"
        return f"[{', '.join(format(part, digits) for part in parts)}]"


def convention(loaded: LoadedModel, size: tuple[int, int], max_pixels: int = 0) -> Convention:
    """How this model writes boxes in a picture of ``size``; CoreheadError for a family whose way is not known.

    max_pixels: to which the picture is shrunk before the processor sees it, as in ``encode``.
    """
    family = loaded.model.config.model_type
    if family not in CONVENTIONS:
        raise CoreheadError(
            f"How {family!r} writes boxes is not known; enter it in CONVENTIONS of corehead_lib/datasets/boxes.py. Known: "
            f"{', '.join(CONVENTIONS)}."
        )
    kind = CONVENTIONS[family]
    if kind != PIXELS:
        return Convention(kind, size, size)
    return Convention(kind, size, _shown(loaded.processor.image_processor, budget(size, max_pixels)))


@lru_cache(maxsize=4096)
def _shown(image_processor: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture after Qwen's resizing."""
    _, rows, columns = image_processor([Image.new("RGB", size)])["image_grid_thw"][0]
    patch = image_processor.patch_size
    return int(columns) * patch, int(rows) * patch
