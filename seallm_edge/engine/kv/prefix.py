"""Common prefixes of token sequences: the tokens whose KV one sequence can take from another."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix of two lists, or of two memoryviews. Compares slices, at C's speed."""
    shared, most = 0, min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    while shared < most:
        middle = (shared + most + 1) // 2
        if one[shared:middle] == other[shared:middle]:
            shared = middle
        else:
            most = middle - 1
    return shared


def begins_with(tokens: Sequence[int], start: Sequence[int]) -> bool:
    """Whether `start` is a prefix of `tokens`, both lists or both memoryviews."""
    return len(start) <= len(tokens) and tokens[: len(start)] == start
