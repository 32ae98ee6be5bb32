"""The steps of a request, one module each, in the order of `limner.pipeline`; each adds its own entries."""
