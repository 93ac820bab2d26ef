"""What it would bring to check two guesses of one place in one step: a tree of guesses instead of a chain.

    python benchmarks/second_guesses.py MODEL.gguf --text DATA [--languages my,km]

Computed, no model runs: the built-in table guesses a text that it was not made of (see drafting.py), the policy chooses
the chain, and beside each of its places the best other guess of a shorter context is checked too where it is likely
enough to pay for its row. A step of n rows costs 1 + 0.03 n, or what it cost here with the 1.5B at Q8_0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from drafting import LANGUAGES, Reply, held_back

from seallm_edge.drafting import Guess, NgramTable, Speculator
from seallm_edge.drafting.tables import tables_for
from seallm_edge.native.model import vocabulary_of

MEASURED = [1.0, 1.01, 1.21, 1.34, 1.59, 1.78, 1.98, 2.17]  # 1 to 8 rows; 6 and 7 lie between their neighbours


def main() -> None:
    """Print, for each language and curve, how many times as fast a tree is as a chain."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    arguments = parser.parse_args()
    curves: dict[str, Callable[[int], float]] = {
        "1 + 0.03 n": lambda n: 1 + 0.03 * n,
        "as measured": lambda n: MEASURED[n - 1] if n <= len(MEASURED) else MEASURED[-1] + 0.2 * (n - len(MEASURED)),
    }
    with vocabulary_of(arguments.model) as vocabulary:
        (table,) = tables_for(vocabulary.fingerprint)
        for language in arguments.languages.split(","):
            tokens = vocabulary.tokenize(held_back(arguments.text, language))[:6_000]
            for name, cost_of in curves.items():
                chain, tree = (tokens_per_cost(table, tokens, cost_of, is_tree=is_tree) for is_tree in (False, True))
                print(f"{language}  {name:12} {chain[0]:.2f} and {tree[0]:.2f} tokens a step, {tree[1] / chain[1]:.3f}")


def tokens_per_cost(
    table: NgramTable, text: Sequence[int], cost_of: Callable[[int], float], *, is_tree: bool
) -> tuple[float, float]:
    """(tokens a step, tokens for a cost of 1.0)."""
    speculator, reply = Speculator(lambda: table), Reply(list(text[:1]))
    n_steps, cost, rate = 0, 0.0, 1.0
    while len(reply.history) < len(text):
        n_done = len(reply.history)
        (draft,) = speculator.draft([reply], [len(text) - n_done - 1], 1, 8)
        wrong = (i for i, token in enumerate(draft.tokens) if token != text[n_done + i])
        n_right = next(wrong, len(draft.tokens))
        n_rows = 1 + len(draft.tokens)
        speculator.note_step(n_rows, cost_of(n_rows))
        speculator.note_checked(draft, n_right)
        speculator.note_tokens(1, n_rows, n_right + 1)
        n_tokens, n_more = n_right + 1, 0
        if is_tree:
            price = rate * (cost_of(n_rows + 1) - cost_of(n_rows))
            others = seconds(table, reply.history, draft.guesses, price)
            n_more = len(others)
            n_tokens += n_right < len(draft.tokens) and others.get(n_right) == text[n_done + n_right]
        reply.history += text[n_done : n_done + n_tokens]
        n_steps += 1
        cost += cost_of(n_rows + n_more)
        rate = len(reply.history) / cost
    return len(text) / n_steps, len(text) / cost


def seconds(table: NgramTable, history: Sequence[int], guesses: Sequence[Guess], price: float) -> dict[int, int]:
    """{place in the chain: another token}, for those that are right more often than their row costs."""
    found, reached = {}, 1.0
    context = list(history[-10:])
    for place, guess in enumerate(guesses):
        shorter = (table.guess(context[-n:]) for n in range(len(context) - 1, 0, -1))
        other = next((each for each in shorter if each and each.token != guess.token), None)
        if other and reached * (1 - guess.confidence) * other.confidence > price:
            found[place] = other.token
        reached *= guess.confidence
        context = [*context, guess.token][-10:]
    return found


if __name__ == "__main__":
    main()
