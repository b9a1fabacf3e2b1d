"""Small mends of the rendered pages, for those who use a keyboard or have pages read to them."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    """Register all of it."""
