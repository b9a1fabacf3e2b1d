"""The datasets of the paper and of its relatives, read from disk."""
