"""The zoo: tiny models of the real transformers classes, and the recipe that trains them."""
