"""Runs of notebooks: parameters, execution, pairs, provenance."""
