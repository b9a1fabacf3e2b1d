"""Changes to single heads, to learn whether the model needs them, and for what."""

from corehead_lib.interventions.base import (
    Intervention,
    Replacement,
    When,
    ZeroAblation,
    check_heads,
    heads_of_layer,
)
from corehead_lib.interventions.edges import Knockout, UniformAttention
from corehead_lib.interventions.means import CLASSES, MeanAblation, Means, mean_outputs, position_classes
from corehead_lib.interventions.partners import Outputs, Patch, partner_outputs

__all__ = [
    "CLASSES",
    "Intervention",
    "Knockout",
    "MeanAblation",
    "Means",
    "Outputs",
    "Patch",
    "Replacement",
    "UniformAttention",
    "When",
    "ZeroAblation",
    "check_heads",
    "heads_of_layer",
    "mean_outputs",
    "partner_outputs",
    "position_classes",
]
