"""Work of peers.py: the prompts, decodes and replies that every program is timed with, and their names."""

from __future__ import annotations

from dataclasses import dataclass

N_DECODED = 64  # tokens decoded one after another, and by each of several replies at once
REPLY_PROMPT = 128  # tokens of the prompt of each reply


@dataclass(frozen=True)
class Workload:
    """Prompts of `prompts` tokens; decodes behind `depths` tokens; `replies` at once. `batch`: prompt tokens of a step
    of ours, None for the plan's.
    """

    prompts: tuple[int, ...]
    depths: tuple[int, ...]
    replies: int
    threads: int
    batch: int | None = None

    @property
    def n_cells(self) -> int:
        """KV cells that the largest work takes."""
        decodes = [depth + N_DECODED for depth in self.depths]
        return max(*self.prompts, *decodes, self.replies * (REPLY_PROMPT + N_DECODED), 1)


def prompt_name(n_tokens: int) -> str:
    """Name of the prefill of a prompt."""
    return f"prompt of {n_tokens:,}"


def decode_name(depth: int) -> str:
    """Name of a decode of one sequence behind a context."""
    return f"decode behind {depth:,}"


def replies_name(n_replies: int) -> str:
    """Name of the decode of several sequences in one batch."""
    return f"{n_replies} replies at once"
