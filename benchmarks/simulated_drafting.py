"""Simulated speed-up by the built-in table's draft tokens: no model runs, and step costs are given.

python benchmarks/simulated_drafting.py MODEL.gguf --text DATA [--languages my,km]

The table drafts a text that it was not made of (see drafting.py), and the policy chooses how many tokens are verified.
A step of n batch tokens costs 1 + 0.03 n, as where memory is the limit, or what it cost here with the 1.5B at Q8_0.
Besides such chains, trees are computed: at each position of a chain the best other draft token, of a shorter context,
is verified in the same step if it is likely enough to pay for its batch token.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drafting import LANGUAGES, held_back

from seallm_edge.drafting import DraftToken, Speculator, StaticNgramCache
from seallm_edge.drafting.speculator import MAX_DRAFT_TOKENS
from seallm_edge.drafting.tables import tables_for
from seallm_edge.native.model import vocabulary_of

N_TOKENS, PIECE = 12_000, 1_000
MEASURED = [1.0, 1.01, 1.21, 1.34, 1.59, 1.78, 1.98, 2.17]  # 1 to 8 rows; 6 and 7 lie between their neighbours
CURVES: dict[str, Callable[[int], float]] = {
    "1 + 0.03 n": lambda n: 1 + 0.03 * n,
    "as measured": lambda n: MEASURED[n - 1] if n <= len(MEASURED) else MEASURED[-1] + 0.2 * (n - len(MEASURED)),
}


def main() -> None:
    """Print, for each language and curve, tokens a step, the gain, and how many times as fast a tree is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    arguments = parser.parse_args()
    with vocabulary_of(arguments.model) as vocabulary:
        (table,) = tables_for(vocabulary.fingerprint)
        for language in arguments.languages.split(","):
            tokens = vocabulary.tokenize(held_back(arguments.text, language))[:N_TOKENS]
            for name, cost_of in CURVES.items():
                chain, tree = (simulate(table, tokens, cost_of, is_tree=is_tree) for is_tree in (False, True))
                print(
                    f"{language}  {name:12} {chain[0]:.2f} tokens a step, {chain[1]:.2f} times as fast; "
                    f"a tree {tree[0]:.2f}, {tree[1] / chain[1]:.3f} times as fast as the chain",
                    flush=True,
                )


class OneTable:
    """Drafter source of one n-gram table."""

    def __init__(self, table: StaticNgramCache) -> None:
        self._table = table

    def attach(self, vocabulary: Any) -> None:
        """Nothing: the table is there."""

    def new(self, likelihood: Any) -> StaticNgramCache:
        """The table, which any number of sequences can share."""
        return self._table

    def detach(self) -> None:
        """Nothing to free."""


def simulate(
    table: StaticNgramCache, tokens: Sequence[int], cost_of: Callable[[int], float], *, is_tree: bool
) -> tuple[float, float]:
    """(tokens per step, speed-up over no drafting) over segments of a text."""
    speculator, n_steps, cost, n_written = Speculator(OneTable(table)), 0, 0.0, 0
    for start in range(0, len(tokens), PIECE):
        text, reply = tokens[start : start + PIECE], Reply(list(tokens[start : start + 1]))
        while (n_done := len(reply.history)) < len(text):
            (draft,) = speculator.draft([reply], [len(text) - n_done - 1], 1, MAX_DRAFT_TOKENS)
            wrong = (i for i, token in enumerate(draft.tokens) if token != text[n_done + i])
            n_accepted = next(wrong, len(draft.tokens))
            n_batch_tokens, n_tokens = 1 + len(draft.tokens), 1 + n_accepted
            speculator.record_step(n_batch_tokens, cost_of(n_batch_tokens))
            speculator.record_verification(draft, n_accepted)
            speculator.record_tokens(1, n_batch_tokens, n_tokens)
            if is_tree:
                price = (n_written / cost if cost else 1.0) * (cost_of(n_batch_tokens + 1) - cost_of(n_batch_tokens))
                others = other_drafts(table, reply.history, draft.draft_tokens, price)
                n_batch_tokens += len(others)
                n_tokens += n_accepted < len(draft.tokens) and others.get(n_accepted) == text[n_done + n_accepted]
            reply.history += text[n_done : n_done + n_tokens]
            n_steps, cost, n_written = n_steps + 1, cost + cost_of(n_batch_tokens), n_written + n_tokens
    return len(tokens) / n_steps, len(tokens) / cost * cost_of(1)


def other_drafts(
    table: StaticNgramCache, history: Sequence[int], draft_tokens: Sequence[DraftToken], price: float
) -> dict[int, int]:
    """{position in the chain: another token}, for tokens whose acceptance probability exceeds their batch cost."""
    n_most = table.metadata.order
    found, reached, context = {}, 1.0, list(history[-n_most:])
    for position, draft_token in enumerate(draft_tokens):
        shorter = (table.lookup(context[-n:]) for n in range(len(context) - 1, 0, -1))
        other = next((each for each in shorter if each and each.token != draft_token.token), None)
        if other and reached * (1 - draft_token.confidence) * other.confidence > price:
            found[position] = other.token
        reached *= draft_token.confidence
        context = [*context, draft_token.token][-n_most:]
    return found


@dataclass
class Reply:
    """Running reply, as the speculator sees it."""

    history: list[int]
    drafter: Any = None


if __name__ == "__main__":
    main()
