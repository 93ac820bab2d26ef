"""Consent to licences: asked once, and kept in the home."""

import json
from pathlib import Path

import pytest

from seallm_edge.errors import StoreError
from seallm_edge.hints import command_line_words
from seallm_edge.store.licenses import License
from seallm_edge.store.pulling.consent import accepted, is_accepted, require_consent

SEALLMS = License("seallms", "https://example.org/LICENSE")


def test_consent_is_kept_with_licence_link_model_and_time(home: Path) -> None:
    require_consent(SEALLMS, "SeaLLMs-v3-7B-Chat", accept=True)
    (kept,) = json.loads((home / "licenses.json").read_text())["accepted"]
    when = kept.pop("when")
    assert kept == {"license": "seallms", "link": "https://example.org/LICENSE", "model": "SeaLLMs-v3-7B-Chat"}
    assert when.endswith("+00:00")


def test_a_licence_is_asked_for_once_for_all_of_its_models() -> None:
    asked: list[License] = []

    def yes(license_: License) -> bool:
        asked.append(license_)
        return True

    require_consent(SEALLMS, "one", yes)
    require_consent(SEALLMS, "another", yes)
    assert asked == [SEALLMS]
    assert len(accepted()) == 1


def test_another_link_is_another_licence() -> None:
    require_consent(SEALLMS, "one", accept=True)
    assert not is_accepted(License("seallms", "https://example.org/other"), "one")


def test_a_licence_without_a_link_is_accepted_for_one_model_only() -> None:
    require_consent(License(""), "one", accept=True)
    assert is_accepted(License(""), "one")
    assert not is_accepted(License(""), "another")


def test_permissive_licences_are_not_asked_for(home: Path) -> None:
    require_consent(License("apache-2.0"), "one", accept=False)
    require_consent(License("MIT"), "one", accept=False)
    assert not (home / "licenses.json").exists()


def test_without_consent_the_error_says_how_to_give_it(home: Path) -> None:
    with pytest.raises(StoreError) as caught:
        require_consent(SEALLMS, "SeaLLMs-v3-7B-Chat", accept=False)
    assert caught.value.worded(command_line_words) == (
        "the licence of SeaLLMs-v3-7B-Chat must be accepted first (seallms: https://example.org/LICENSE)\n"
        "  read it, then give --accept-license"
    )
    assert "accept_license=True" in str(caught.value)
    assert not (home / "licenses.json").exists()


def test_a_no_is_not_kept() -> None:
    with pytest.raises(StoreError, match="the licence of one was not accepted"):
        require_consent(SEALLMS, "one", lambda _: False)
    assert accepted() == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"accepted": 3}', '{"accepted": [1, {"license": "x"}]}'])
def test_a_damaged_file_of_consents_holds_no_consent(content: str, home: Path) -> None:
    (home / "licenses.json").write_text(content)
    assert not is_accepted(SEALLMS, "one")
    require_consent(SEALLMS, "one", accept=True)
    assert is_accepted(SEALLMS, "one")


def test_a_link_without_encryption_is_accepted_for_one_model_only() -> None:
    plain = License("other", "http://example.org/LICENSE")
    require_consent(plain, "hf:A/a", accept=True)
    assert is_accepted(plain, "hf:A/a")
    assert not is_accepted(plain, "hf:B/b")


def test_people_are_told_the_title_of_the_model() -> None:
    with pytest.raises(StoreError) as caught:
        require_consent(SEALLMS, "hf:A/a", accept=False, title="The Model")
    assert caught.value.message == (
        "the licence of The Model must be accepted first (seallms: https://example.org/LICENSE)"
    )


def test_a_consent_that_cannot_be_kept_is_said(home: Path) -> None:
    (home / "licenses.json").mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        require_consent(SEALLMS, "one", accept=True)
    assert caught.value.message.startswith(f"the consent cannot be kept in {home / 'licenses.json'}: ")
    assert caught.value.worded(command_line_words).endswith(
        "\n  check the disk and its permissions, or set SEALLM_HOME to another folder"
    )
