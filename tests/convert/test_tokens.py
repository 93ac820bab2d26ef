"""The vocabulary in a converted file tokenizes as the checkpoint's own tokenizer does."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from seallm_edge.convert import convert
from seallm_edge.native.model import Model
from seallm_edge.text.samples import SENTENCES
from seallm_edge.text.unicode import normalize


@pytest.fixture(scope="module")
def model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """The vocabulary of the converted trained checkpoint."""
    loaded = Model(convert(trained, tmp_path_factory.mktemp("tokens") / "q4.gguf", "Q4_0"), vocabulary_only=True)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def tokenizer(trained: Path) -> Tokenizer:
    """The checkpoint's own tokenizer."""
    return Tokenizer.from_file(str(trained / "tokenizer.json"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", SENTENCES)
def test_token_ids_are_those_of_the_checkpoints_tokenizer(
    language: str, form: str, model: Model, tokenizer: Tokenizer
) -> None:
    text = unicodedata.normalize(form, " ".join(SENTENCES[language]))
    assert model.vocabulary.tokenize(normalize(text)) == tokenizer.encode(text, add_special_tokens=False).ids


def test_decomposed_text_would_be_tokenized_otherwise_without_normalizing(model: Model, tokenizer: Tokenizer) -> None:
    text = unicodedata.normalize("NFD", SENTENCES["vi"][0])
    assert model.vocabulary.tokenize(text) != tokenizer.encode(text, add_special_tokens=False).ids


def test_the_turns_markers_are_single_tokens_and_both_ends_end_a_reply(model: Model, tokenizer: Tokenizer) -> None:
    for name in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        assert model.vocabulary.control_token(name) == tokenizer.token_to_id(name)
    ends = [name for name in tokenizer.get_added_tokens_decoder() if model.vocabulary.ends_generation(name)]
    assert {tokenizer.id_to_token(token) for token in ends} >= {"<|im_end|>", "<|endoftext|>"}
    assert not model.vocabulary.ends_generation(tokenizer.token_to_id("<|im_start|>"))
