"""Find, test and use the attention heads that fetch visual evidence; importing this costs nothing."""

__version__ = "0.1.0"
