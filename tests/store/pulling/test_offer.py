"""Offers in words and as data, and the refusals of what cannot run here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import seallm_edge
from seallm_edge.catalogue.cards import cards
from seallm_edge.errors import ConversionError, NotEnoughMemory
from seallm_edge.hints import command_line_words
from seallm_edge.plan.memory import needed_bytes
from seallm_edge.store.licenses import License
from seallm_edge.store.pulling.choosing import Free, best, candidates
from seallm_edge.store.pulling.offer import Offer, duration

GB = 10**9
CARD = cards()["seallms-v3-7b-chat"]
OFFER = Offer(
    model=CARD.name,
    title=CARD.title,
    type_name="Q4_K_M",
    reason="Q4_K_M: 4.68 GB, the type that was asked for",
    origin="hf:SeaLLMs/SeaLLMs-v3-7B-Chat@0123456789abcdef",
    way="convert",
    network=15 * GB,
    resumed=0,
    disk=CARD.size("Q4_K_M"),
    disk_begun=0,
    memory=needed_bytes(CARD, "Q4_K_M"),
    license=License("seallms", "https://example.org/LICENSE"),
    free=Free(memory=6_100_000_000, disk=20 * GB),
    seconds=7_500.0,
    card=CARD,
)


def words(offer: Offer) -> str:
    with pytest.raises((NotEnoughMemory, ConversionError)) as caught:
        offer.check()
    return caught.value.worded(command_line_words)


def test_an_offer_says_what_a_pull_costs() -> None:
    assert OFFER.lines() == (
        "SeaLLMs-v3-7B-Chat: official weights, converted while they come, from "
        "hf:SeaLLMs/SeaLLMs-v3-7B-Chat@0123456789ab",
        "type: Q4_K_M: 4.68 GB, the type that was asked for",
        "network: 15.00 GB (2 h 5 min at the speed measured now)",
        "disk: 4.68 GB, at the peak and when done; 20.00 GB is free",
        f"memory: {OFFER.memory / 1e9:.2f} GB to run it; 6.10 GB is free",
        "licence: seallms: https://example.org/LICENSE",
    )


def test_a_resumed_offer_says_what_is_here_already_and_no_speed_is_invented() -> None:
    offer = replace(OFFER, way="download", network=GB, resumed=3 * GB, seconds=None)
    assert offer.lines()[0].startswith("SeaLLMs-v3-7B-Chat: a ready GGUF, from hf:")
    assert offer.lines()[2] == "network: 1.00 GB; 3.00 GB are here from an earlier run"


def test_an_offer_is_json_too() -> None:
    facts = json.loads(json.dumps(OFFER.as_dict()))
    assert facts["network"] == 15 * GB
    assert facts["free"] == {"memory": 6_100_000_000, "disk": 20 * GB}
    assert facts["license"] == {"name": "seallms", "link": "https://example.org/LICENSE"}


def test_what_fits_is_not_refused() -> None:
    OFFER.check()


def test_too_little_memory_is_refused_with_the_nearest_type() -> None:
    offer = replace(OFFER, type_name="Q8_0", memory=needed_bytes(CARD, "Q8_0"))
    assert words(offer) == (
        f"SeaLLMs-v3-7B-Chat as Q8_0 needs {offer.memory / 1e9:.2f} GB of memory but 6.10 GB is free\n"
        "  Q5_K_M of the same model fits: seallm pull seallms-v3-7b-chat --type Q5_K_M; "
        "--anyway gets it all the same"
    )


def test_too_little_memory_for_any_type_is_refused_with_the_nearest_model() -> None:
    offer = replace(OFFER, free=Free(2_500_000_000, 20 * GB))
    assert words(offer).endswith(
        "\n  seallms-v3-1.5b-chat (Q8_0) fits: seallm pull seallms-v3-1.5b-chat; --anyway gets it all the same"
    )
    offer = replace(OFFER, free=Free(10**6, 20 * GB))
    assert "\n  no model of the catalogue fits; close other programs; --anyway" in words(offer)


def test_a_pull_that_was_begun_is_not_refused_because_memory_is_used_just_now() -> None:
    begun = replace(OFFER, free=Free(10**6, 20 * GB), disk_begun=GB)
    replace(begun, resumed=GB).check()
    assert words(begun).startswith("SeaLLMs-v3-7B-Chat as Q4_K_M needs 5.04 GB of memory but 1.00 MB is free")


def test_too_little_disk_is_refused_with_what_to_free() -> None:
    offer = replace(OFFER, free=Free(6_100_000_000, 3 * GB))
    missing = (offer.disk - 3 * GB) / 1e9
    text = words(offer)
    assert text.startswith("SeaLLMs-v3-7B-Chat as Q4_K_M takes 4.68 GB of disk but ")
    assert " has 3.00 GB free\n" in text
    assert text.endswith(
        f"\n  free {missing:.2f} GB, or take less: seallms-v3-1.5b-chat (Q8_0) fits: seallm pull seallms-v3-1.5b-chat; "
        "or set SEALLM_HOME to a folder on another disk"
    )
    replace(offer, disk_begun=offer.disk - 2 * GB).check()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (40, "40 s"), (600, "10 min"), (7_500, "2 h 5 min"), (97_200, "1 d 3 h")],
)
def test_durations_are_said_in_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_offer_that_the_documents_show_is_what_an_offer_says() -> None:
    card = cards()["seallms-v3-1.5b-chat"]
    free = Free(memory=1_400_000_000, disk=20 * GB)
    chosen = best(candidates(card), free)
    assert chosen
    offer = replace(
        OFFER,
        title=card.title,
        reason=chosen.reason,
        origin=f"hf:{card.source_repo}@COMMIT",
        network=3_100_000_000,
        disk=chosen.candidate.size,
        memory=chosen.candidate.memory,
        license=License(card.license_name, card.license_url),
        free=free,
        seconds=5_160.0,
    )
    page = (Path(seallm_edge.__file__).parent.parent / "docs" / "models.md").read_text(encoding="utf-8")
    shown = page.partition("$ seallm pull seallms-v3-1.5b-chat\n")[2].partition("    Do you accept")[0]
    assert [line.strip() for line in shown.splitlines()] == list(offer.lines())
