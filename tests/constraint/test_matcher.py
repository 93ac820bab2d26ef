"""`Constraint`: one token, the token mask, the end; constraints of one grammar share no state."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from seallm_edge.constraint import GrammarCompiler
from seallm_edge.constraint import compiler as compiler_module
from seallm_edge.errors import InvalidOption

MAYBE_MORE = 'root ::= "yes" "!"*'


class Letters:
    """A vocabulary of seven tokens: the letters a to e, a control token, and `end` (none where it is None)."""

    n_tokens = 7

    def __init__(self, end: int | None = 6) -> None:
        self._end = end

    def piece(self, token: int) -> bytes:
        return b"abcde"[token : token + 1]

    def ends_generation(self, token: int) -> bool:
        return token == self._end


def follow(constraint, text: str) -> None:
    for letter in text:
        constraint.accept("abcde".index(letter))


def test_one_token_is_allowed_as_the_mask_allows_it(demo) -> None:
    chance = random.Random(0)
    for grammar in (demo.compiler.schema({}), demo.compiler.gbnf('root ::= [^a-m]+ "(" root? ")" | "ก"')):
        constraint = grammar.start()
        for _ in range(15):
            allowed = constraint.allowed()
            sample = chance.sample(range(demo.n_tokens), 300) + demo.ends
            assert [constraint.allows(token) for token in sample] == [bool(allowed[token]) for token in sample]
            constraint.accept(chance.choice([int(t) for t in np.flatnonzero(allowed) if t not in demo.ends]))


def test_a_mask_leaves_the_logits_of_what_is_allowed_and_no_others(demo) -> None:
    constraint = demo.compiler.gbnf(MAYBE_MORE).start()
    logits = np.arange(demo.n_tokens + 100, dtype=np.float32)
    expected = np.full_like(logits, -np.inf)
    for token, piece in enumerate(demo.pieces):
        if piece in (b"y", b"ye", b"yes"):
            expected[token] = token
    constraint.mask(logits)
    np.testing.assert_array_equal(logits, expected)


def test_rows_past_the_tokenizers_tokens_are_never_allowed(demo) -> None:
    constraint = demo.compiler.gbnf("root ::= .*").start()
    assert not any(constraint.allows(token) for token in (-1, demo.n_tokens, demo.n_tokens + 1, 1 << 31))
    logits = np.zeros(demo.n_tokens + 32, np.float32)
    constraint.mask(logits)
    assert np.isneginf(logits[demo.n_tokens :]).all()


def test_the_end_is_allowed_where_the_text_is_complete_and_not_before(demo) -> None:
    constraint = demo.compiler.gbnf(MAYBE_MORE).start()
    for token in demo.spell("yes"):
        assert not any(constraint.allows(end) for end in demo.ends)
        assert (constraint.may_end, constraint.is_complete) == (False, False)
        constraint.accept(token)
    assert all(constraint.allows(end) for end in demo.ends)
    assert (constraint.may_end, constraint.is_complete) == (True, False)
    assert set(np.flatnonzero(constraint.allowed())) >= set(demo.ends)


def test_after_the_last_token_only_the_end_may_follow(demo) -> None:
    constraint = demo.compiler.schema({"const": "yes"}).start()
    for token in demo.spell('"yes"'):
        constraint.accept(token)
    assert (constraint.may_end, constraint.is_complete) == (True, True)
    assert list(np.flatnonzero(constraint.allowed())) == demo.ends
    constraint.accept(demo.ends[0])
    assert list(np.flatnonzero(constraint.allowed())) == demo.ends


def test_a_token_that_is_refused_changes_nothing(demo) -> None:
    constraint = demo.compiler.gbnf(MAYBE_MORE).start()
    yes, no = demo.spell("yes")[0], demo.spell("no")[0]
    for token in (no, demo.ends[0], -1):
        with pytest.raises(InvalidOption) as refused:
            constraint.accept(token)
        assert refused.value.message == f"token {token} may not come next"
    assert constraint.allows(yes)


def test_control_tokens_are_no_text(demo) -> None:
    controls = [token for token, piece in enumerate(demo.pieces) if not piece and token not in demo.ends]
    allowed = demo.compiler.gbnf("root ::= .*").start().allowed()
    assert controls
    assert not allowed[controls].any()


def test_constraints_of_one_grammar_go_on_apart(demo) -> None:
    grammar = demo.compiler.gbnf("root ::= [a-z]{2}")
    first, second = grammar.start(), grammar.start()
    first.accept(demo.spell("ab")[0])
    assert (first.is_complete, second.is_complete) == (True, False)


def test_a_text_or_schema_seen_lately_is_not_compiled_again(demo) -> None:
    assert demo.compiler.gbnf(MAYBE_MORE) is demo.compiler.gbnf(MAYBE_MORE)
    assert demo.compiler.schema({"const": 1}) is demo.compiler.schema('{"const":1}')


def test_many_threads_may_compile_and_follow_at_once() -> None:
    compiler = GrammarCompiler(Letters())

    def reply(seed: int) -> bool:
        word = "".join(random.Random(seed).choices("abcde", k=20))
        constraint = compiler.gbnf(f'root ::= "{word[:10]}" [a-e]* "{word[10:]}"').start()
        follow(constraint, word)
        return constraint.may_end

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(reply, range(40)))


def test_the_trie_is_built_once_however_many_ask_first(monkeypatch: pytest.MonkeyPatch) -> None:
    n_built = []
    build = compiler_module._trie

    def slowly(*arguments: object) -> object:
        n_built.append(1)
        time.sleep(0.05)
        return build(*arguments)

    monkeypatch.setattr(compiler_module, "_trie", slowly)
    compiler = GrammarCompiler(Letters())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(compiler.gbnf, [f'root ::= "{letter}"' for letter in "abcd"]))
    assert len(n_built) == 1


def test_a_vocabulary_without_an_end_is_followed_too() -> None:
    constraint = GrammarCompiler(Letters(end=None)).gbnf('root ::= "ab"').start()
    follow(constraint, "ab")
    assert constraint.is_complete
    logits = np.zeros(9, np.float32)
    constraint.mask(logits)
    assert np.isneginf(logits).all()


def test_a_text_that_no_token_goes_on_with_is_an_error_and_no_silent_end() -> None:
    constraint = GrammarCompiler(Letters()).gbnf('root ::= "ab" "z"').start()
    follow(constraint, "ab")
    assert not any(constraint.allows(token) for token in range(7))
    with pytest.raises(InvalidOption) as lost:
        constraint.mask(np.zeros(7, np.float32))
    assert lost.value.message == "no text satisfies the grammar, after 2 tokens"
    assert (constraint.may_end, constraint.is_complete) == (False, False)


def test_a_grammar_that_begins_with_what_no_token_says_is_refused() -> None:
    with pytest.raises(InvalidOption) as refused:
        GrammarCompiler(Letters()).gbnf('root ::= "z"')
    assert refused.value.message == "no text satisfies the grammar"


def test_a_missing_llguidance_is_named_with_its_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(InvalidOption) as refused:
        GrammarCompiler(Letters()).gbnf('root ::= "a"')
    assert refused.value.message == "schemas and grammars need the package llguidance"
    assert str(refused.value.hint) == "pip install llguidance (without a wheel, it needs Rust)"


def test_importing_it_imports_neither_llguidance_nor_numpy() -> None:
    source = "import sys, seallm_edge.constraint; print(sorted({'llguidance', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", source], capture_output=True, check=True).stdout == b"[]\n"
