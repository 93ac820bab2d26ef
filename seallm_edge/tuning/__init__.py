"""Tuning: which settings run a model fastest on this machine, searched by measuring and kept for next time."""
