import math

import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.sampling import Sampling


def test_defaults_are_those_of_the_checkpoints() -> None:
    defaults = Sampling()
    assert (defaults.temperature, defaults.repeat_penalty, defaults.max_tokens) == (0.7, 1.05, 512)


def test_options_that_are_none_keep_what_was_there() -> None:
    assert Sampling(temperature=0.1).replace({"temperature": None, "top_k": 5}) == Sampling(temperature=0.1, top_k=5)


def test_seed_and_max_tokens_can_be_none() -> None:
    changed = Sampling(seed=1).replace({"seed": None, "max_tokens": None})
    assert (changed.seed, changed.max_tokens) == (None, None)


def test_one_stop_text_may_stand_for_itself() -> None:
    assert Sampling(stop="\n\n").stop == ("\n\n",)  # type: ignore[arg-type]


def test_a_misspelt_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidOption, match=r"no sampling option 'temprature'; did you mean 'temperature'\?"):
        Sampling().replace({"temprature": 1})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("top_p", 1.5),
        ("top_k", -1),
        ("top_k", 1.5),
        ("top_k", True),
        ("min_p", 2),
        ("repeat_penalty", 0),
        ("seed", -1),
        ("seed", 2**32 - 1),
        ("max_tokens", -1),
        ("stop", (1,)),
    ],
)
def test_values_out_of_range_are_refused(option: str, value: object) -> None:
    with pytest.raises(InvalidOption):
        Sampling().replace({option: value})
