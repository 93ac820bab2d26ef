"""GBNF: the same texts as llama.cpp's own grammars allow; invalid grammars are refused with their line."""

from __future__ import annotations

import contextlib
import ctypes
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.native.model import Model

GRAMMARS = {
    "json": r"""
        root   ::= value
        value  ::= object | array | string | number | "true" | "false" | "null"
        object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
        array  ::= "[" ws (value ("," ws value)*)? "]" ws
        string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
        number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws
        ws     ::= | " " | "\n" [ \t]{0,20}
    """,
    "sums": 'root ::= (sum "=" [0-9]+ "\\n")+\nsum ::= term ([-+*/] term)*\nterm ::= [a-z] [a-z0-9_]* | "(" sum ")"',
    "overlap": 'root ::= [a-z]* "b" | ("a" | "ab" | [a-c]+ "x")* [^a-m] .',
    "recursion": 'root ::= "(" root? ")" root? | [0-9]{2} | [a-z] "x" | "a" "y"',
    "right recursion": 'root ::= "a" root | [b-c] root | "ก" | ""',
    "burmese": 'root ::= place (", " place){1,}\nplace ::= "ရန်ကုန်" | "မန္တလေး" | [က-အ]{3}',
    "counts": 'root ::= (([a-c]{1,3} "-"){2,} "x"?){1,2} "."{0} ("d" | ""){0,2} "!"',
    "escapes": r'root ::= "\x41\u0042\U00000E01\t\\\"" [-+\-] [a\-z] [\]\[]? ["!#$] [\x00-\x20] "a-"+',
    "lines": 'root ::= # the whole\n  one |  # or\n  two\n\none ::= "x" | (\n  "y"\n  "z" # both\n)\r\ntwo ::= "1"\r\n',
    "empty parts": 'root ::= ("a"? "b"?)* nothing "c"\nnothing ::=  | ""',
}
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class LlamaGrammar:
    """llama.cpp's own grammar sampler."""

    def __init__(self, vocabulary: int, grammar: str) -> None:
        self._sampler = llama.llama_sampler_init_grammar(vocabulary, grammar.encode(), b"root")
        if not self._sampler:
            raise InvalidOption("llama.cpp refuses the grammar")

    def allowed(self, n_tokens: int) -> np.ndarray:
        candidates = np.zeros(n_tokens, CANDIDATE)
        candidates["id"] = np.arange(n_tokens)
        data = candidates.ctypes.data_as(ctypes.POINTER(llama.llama_token_data))
        llama.llama_sampler_apply(self._sampler, ctypes.byref(llama.llama_token_data_array(data, n_tokens, -1, False)))
        return np.isfinite(candidates["logit"])

    def accept(self, token: int) -> None:
        llama.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        llama.llama_sampler_free(self._sampler)


@pytest.fixture(scope="module")
def vocabulary(demo_file: Path) -> Iterator[int]:
    model = Model(demo_file, vocabulary_only=True)
    yield llama.llama_model_get_vocab(model.pointer)
    model.close()


def is_whole(piece: bytes) -> bool:
    try:
        return bool(piece.decode())
    except UnicodeDecodeError:
        return False


def comparable(demo, grammar: str) -> np.ndarray:
    """Whether to compare a token, shape (n_tokens,): in llama.cpp, control tokens may be spelt out as text, and halves
    of characters are not exact for classes with `^`.
    """
    compared = np.array([is_whole(piece) if "[^" in grammar else bool(piece) for piece in demo.pieces])
    compared[demo.ends] = True
    return compared


@pytest.fixture
def follow(demo, vocabulary: int) -> Callable[[str, random.Random, int], None]:
    """Follows a text at random, and asserts at each step that llama.cpp and we allow the same."""

    def follow_at_random(grammar: str, chance: random.Random, n_steps: int) -> None:
        compared = comparable(demo, grammar)
        constraint = demo.compiler.gbnf(grammar).start()
        with contextlib.closing(LlamaGrammar(vocabulary, grammar)) as peer:
            for _ in range(n_steps):
                ours, theirs = constraint.allowed() & compared, peer.allowed(demo.n_tokens) & compared
                assert [demo.pieces[token] for token in np.flatnonzero(ours != theirs)] == [], grammar
                allowed = [int(token) for token in np.flatnonzero(ours) if token not in demo.ends]
                if not allowed:
                    break
                short = [token for token in allowed if len(demo.pieces[token]) < 4]
                token = chance.choice(short if short and chance.random() < 0.5 else allowed)
                constraint.accept(token)
                peer.accept(token)

    return follow_at_random


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS)
def test_the_tokens_allowed_are_those_that_llama_cpp_allows(follow, grammar: str, seed: int) -> None:
    follow(grammar, random.Random(seed), n_steps=12)


def random_grammar(chance: random.Random) -> str:
    def node(depth: int) -> str:
        kind = chance.randrange(8) if depth else 0
        if kind < 3:
            pieces = ['"a"', '"ab"', '"ก"', "[a-c]", "[^b]", "[กข]", '"abc"', '" "', '""']
            return chance.choice(pieces) if chance.random() < 0.85 else chance.choice("xyz")
        parts = [node(depth - 1) for _ in range(chance.randint(1, 3))]
        if kind < 5:
            return " ".join(parts)
        group = f"({' | '.join(parts)})"
        return group if kind < 6 else group + chance.choice(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"])

    rules = [f"{name} ::= {' | '.join(node(2) for _ in range(chance.randint(1, 3)))}" for name in "xyz"]
    return "\n".join(['root ::= x | "y" y | "z" z', *rules])


def test_grammars_made_at_random_are_followed_as_llama_cpp_follows_them(demo, follow) -> None:
    n_followed = 0
    for seed in range(80):
        chance = random.Random(seed)
        grammar = random_grammar(chance)
        with contextlib.suppress(InvalidOption):  # most recurse without end, some are too ambiguous
            follow(grammar, chance, n_steps=3)
            n_followed += 1
    assert n_followed > 20


@pytest.mark.parametrize(
    ("grammar", "text", "taken"),
    [
        ('root ::= "yes" | "no"', "yes", True),
        ('root ::= "yes" | "no"', "yesno", False),
        ('root ::= "yes"\n  | "no"', "no", True),
        ("root ::= .", "\n", True),
        ("root ::= .*", "", True),
        ("root ::=", "", True),
        ('root ::= [^"]+', "กขค\nမြန်မာ", True),
        ("root ::= [\\u0E01-\\u0E5B]+", "กรุงเทพ", True),
        ("root ::= [\\u0E01-\\u0E5B]+", "ກຸງເທບ", False),
        ("root ::= [\\uD7FF-\\uE000]+", "\ud7ff\ue000", True),
        ("root ::= a_b\na_b ::= [a-]", "-", True),
    ],
)
def test_a_text_is_allowed_as_a_whole_or_not(demo, grammar: str, text: str, taken: bool) -> None:
    assert demo.takes(demo.compiler.gbnf(grammar), text) is taken


def test_a_long_right_recursion_is_followed_to_its_end(demo) -> None:
    constraint = demo.compiler.gbnf('root ::= line root | line\nline ::= [a-z] line | "."').start()
    for token in demo.spell("abcdefgh" * 400 + "."):
        constraint.accept(token)
    assert constraint.may_end


NOTATION = 'the notation is GBNF, as in: root ::= "yes" | "no"'
WITHOUT_ITSELF = "give it an option without itself"
REPEAT = 'repeat instead: a ::= b ("+" b)*'
TOO_MANY = "leave one way to read it: x{0,9}, not x? x? x?"
REFUSALS = {
    "no text": (None, "the grammar is of type NoneType", "give its text, in GBNF"),
    "bytes": (b"root ::= .", "the grammar is of type bytes", "give its text, in GBNF"),
    "empty": ("", "the grammar has no rule 'root'", "root ::= … says what the whole reply is"),
    "no root": ('a ::= "b"', "the grammar has no rule 'root'", "root ::= … says what the whole reply is"),
    "long": ("#" * 300_000, "the grammar is 300,000 characters long", "262,144 is the limit"),
    "no rule": ("yes or no", "line 1 of the grammar: 'or' stands where ::= should be", NOTATION),
    "nothing": ("root", "line 1 of the grammar: nothing stands where ::= should be", NOTATION),
    "NUL": ('root ::= "a"\n\0', "line 2 of the grammar: '\\x00' cannot stand here", NOTATION),
    "NUL escaped": (
        'root ::= "a\\x00"',
        "line 1 of the grammar: U+0000 is no character that a text can hold",
        NOTATION,
    ),
    "surrogate": (
        'root ::=\n"\\uD800"',
        "line 2 of the grammar: U+D800 is no character that a text can hold",
        NOTATION,
    ),
    "too high": (
        'root ::= "\\U00110000"',
        "line 1 of the grammar: U+110000 is no character that a text can hold",
        NOTATION,
    ),
    "no escape": (
        'root ::= "\\q"',
        'line 1 of the grammar: \\q is no escape: \\n \\r \\t \\\\ \\" \\[ \\] \\- \\xHH \\uHHHH \\UHHHHHHHH',
        NOTATION,
    ),
    "open text": ('root ::= "a', "line 1 of the grammar: the text has no closing quote", NOTATION),
    "open class": ("root ::= [a", "line 1 of the grammar: the character class has no closing bracket", NOTATION),
    "empty class": ("root ::= []", "line 1 of the grammar: the character class [] names no character", NOTATION),
    "class of nothing": (
        "root ::= [^\\x01-\\U0010FFFF]",
        "line 1 of the grammar: no character is in [^\\x01-\\U0010FFFF]",
        NOTATION,
    ),
    "backward range": ("root ::= [z-a]", "line 1 of the grammar: the range z-a ends before it begins", NOTATION),
    "open group": (
        'root ::= "a" (\n"b"',
        "line 2 of the grammar: the group that began in line 1 has no closing )",
        NOTATION,
    ),
    "closed group": (
        'root ::= "a")',
        "line 1 of the grammar: ')' stands where the end of the rule should be",
        NOTATION,
    ),
    "repetition": ('root ::= "a"{2,x}', "line 1 of the grammar: the repetition is none of {m} {m,} {m,n}", NOTATION),
    "backward repetition": ('root ::= "a"{3,2}', "line 1 of the grammar: {3,2} ends before it begins", "write {2,3}"),
    "many repetitions": (
        'root ::= "a"{1,2001}',
        "line 1 of the grammar: {1,2001} is more than 2,000 repetitions",
        "leave the end open: {m,}",
    ),
    "repeated nothing": (
        "root ::= * ",
        "line 1 of the grammar: '*' stands where the end of the rule should be",
        NOTATION,
    ),
    "token": (
        "root ::= <think> .*",
        "line 1 of the grammar: <think> asks for a token",
        "only text can be asked for: write it in quotes",
    ),
    "twice": (
        'root ::= "a"\nroot ::= "b"',
        "line 2 of the grammar: this is a second rule 'root'",
        "join the two with |",
    ),
    "unknown": (
        "root ::= number\nnumbers ::= [0-9]",
        "line 1 of the grammar: there is no rule 'number'; did you mean 'numbers'?",
        "define it",
    ),
    "no end": ('root ::= "a" root', "the rule 'root' never comes to an end", WITHOUT_ITSELF),
    "no end in two": ('root ::= "a" | x\nx ::= "b" y\ny ::= x', "the rule 'y' never comes to an end", WITHOUT_ITSELF),
    "left recursion": (
        'root ::= root "+" root | "a"',
        "the grammar's rules begin with themselves: root → root",
        REPEAT,
    ),
    "hidden left recursion": (
        'root ::= x\nx ::= " "? y | "a"\ny ::= x "b"',
        "the grammar's rules begin with themselves: y → x → y",
        REPEAT,
    ),
    "deep groups": (
        "root ::= " + "(" * 100_000,
        "line 1 of the grammar: groups are nested more than 25 deep",
        "make some of them rules",
    ),
    "deep rules": (
        "root ::= r0\n" + "".join(f'r{n} ::= "a" r{n + 1}\n' for n in range(5000)) + 'r5000 ::= "b"',
        "the grammar's rules are nested more than 150 deep",
        "make it flatter",
    ),
    "bomb": (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1} r{n + 1}\n" for n in range(60)) + 'r60 ::= "a"',
        "the grammar is too big",
        "make it smaller, or repeat less in it",
    ),
    "many readings": (
        "root ::= " + "[a-z]? " * 300 + 'x\nx ::= "(" x ")" | "y"',
        "the grammar is too ambiguous",
        TOO_MANY,
    ),
}


@pytest.mark.parametrize(("grammar", "message", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_grammar_or_cannot_be_followed_is_refused(demo, grammar: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        demo.compiler.gbnf(grammar)
    assert (refused.value.message, str(refused.value.hint)) == (message, hint)
