"""Checks of a GGUF: before it gets its final name, and at any later time."""
