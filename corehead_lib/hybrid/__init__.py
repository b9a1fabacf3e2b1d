"""Hybrid attention: a few dense heads, all others streaming."""
