"""Type and model for the free memory and disk of a machine, with reasons in words."""

from pathlib import Path

import pytest

from seallm_edge.catalogue.cards import cards
from seallm_edge.store.pulling.choosing import (
    Candidate,
    Free,
    best,
    candidates,
    candidates_of,
    free_disk,
    nearest_model,
    runnable_models,
    smallest,
)

PLENTY = Free(memory=10**12, disk=10**12)
GB = 10**9
THREE = (
    Candidate("F16", 9 * GB, 10 * GB),
    Candidate("Q8_0", 5 * GB, 6 * GB),
    Candidate("Q4_K_M", 3 * GB, 4 * GB),
    Candidate("Q4_0", 2 * GB, 3 * GB),
)


def reason(free: Free) -> str:
    chosen = best(THREE, free)
    assert chosen
    return chosen.reason


def test_the_most_exact_quantized_type_is_taken_where_everything_fits() -> None:
    assert reason(PLENTY) == "Q8_0: 5.00 GB, the most exact there is; it needs 6.00 GB of the 1000.00 GB of free memory"


def test_free_memory_decides_and_the_reason_names_what_the_next_type_needs() -> None:
    assert reason(Free(5 * GB, 10**12)) == (
        "Q4_K_M: 3.00 GB, the most exact that fits in 5.00 GB of free memory; Q8_0 needs 6.00 GB"
    )


def test_free_disk_decides_too() -> None:
    assert reason(Free(10**12, 4 * GB)) == (
        "Q4_K_M: 3.00 GB, the most exact that fits in 4.00 GB of free disk; Q8_0 takes 5.00 GB"
    )


@pytest.mark.parametrize("free", [Free(2 * GB, 10**12), Free(10**12, GB)])
def test_nothing_is_chosen_where_nothing_fits(free: Free) -> None:
    assert best(THREE, free) is None
    assert smallest(THREE).candidate.type_name == "Q4_0"
    assert smallest(THREE).reason == "Q4_0: 2.00 GB, the smallest there is"


def test_an_unquantized_type_is_taken_where_there_is_no_other() -> None:
    chosen = best(THREE[:1], PLENTY)
    assert chosen
    assert chosen.candidate.type_name == "F16"


def test_candidates_of_a_card_are_its_types_with_their_sizes() -> None:
    card = cards()["seallms-v3-1.5b-chat"]
    found = {one.type_name: one for one in candidates(card)}
    assert list(found) == list(card.types)
    assert found["Q4_K_M"].size == card.size("Q4_K_M")
    assert found["Q4_K_M"].memory > found["Q4_K_M"].size
    assert candidates_of(card.shape) == candidates(card)


def test_models_that_run_here_come_largest_first_and_stand_ins_last() -> None:
    names = [choice.card.name for choice in runnable_models(PLENTY)]
    assert names == ["seallms-v3-7b-chat", "seallms-v3-1.5b-chat", "smollm2-135m-instruct"]
    names = [choice.card.name for choice in runnable_models(Free(3 * GB, 10**12))]
    assert names == ["seallms-v3-1.5b-chat", "smollm2-135m-instruct"]
    assert runnable_models(Free(10**6, 10**12)) == []


def test_the_nearest_model_is_the_largest_other_one_of_its_kind_that_runs() -> None:
    near = nearest_model(cards()["seallms-v3-7b"], Free(3 * GB, 10**12))
    assert near
    assert near.card.name == "seallms-v3-1.5b"
    assert nearest_model(None, Free(10**6, 10**12)) is None


def test_free_disk_of_a_folder_that_is_not_made_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "models" / "deeper") > 0
