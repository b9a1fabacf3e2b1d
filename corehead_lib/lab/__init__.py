"""The live lab: a zoo model that runs in the reader's browser, without a kernel and without a network."""
