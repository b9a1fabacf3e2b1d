"""How the tiny models are made: recipe, lessons, trainer, card."""
