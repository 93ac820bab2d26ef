"""Texts cut into deltas, as a model's reply comes."""

import random


def cut(text: str, seed: int) -> list[str]:
    """`text` in deltas of one to nine characters."""
    choose = random.Random(seed)
    deltas = []
    while text:
        size = choose.randint(1, 9)
        deltas.append(text[:size])
        text = text[size:]
    return deltas
