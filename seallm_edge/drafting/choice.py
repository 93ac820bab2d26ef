"""Drafting set-ups of an engine: by n-gram caches and prompt lookup, or by a draft model besides."""

from __future__ import annotations

from collections.abc import Callable

from .combined_drafter import CombinedDrafter
from .contract import Drafter, Vocabulary
from .costs import StepCosts
from .model_drafter import DraftModel
from .prompt_lookup import PromptLookup
from .speculator import Speculator
from .table import StaticNgramCache
from .tables import tables_for


class TextDrafting:
    """Drafting by n-gram caches and prompt lookup; one for an engine, however often its model is loaded.

    `costs` are the step costs known so far; `on_close` is called each time the model is unloaded.
    """

    def __init__(self, costs: StepCosts | None = None, on_close: Callable[[], None] = lambda: None) -> None:
        self._costs = costs
        self._on_close = on_close
        self._speculator: Speculator | None = None

    def __call__(self, vocabulary: Vocabulary) -> Speculator:
        """The speculator for a loaded model: the same one each time, since it has learnt."""
        if self._speculator is None:
            tables = tables_for(vocabulary.fingerprint)

            def drafter() -> Drafter:
                return CombinedDrafter([*tables, PromptLookup()], speculator.acceptance.probability)

            self._speculator = speculator = Speculator(drafter, self._on_close, costs=self._costs)
        return self._speculator


class ModelDrafting:
    """Drafting by a draft model, loaded and unloaded with the target model, besides n-gram caches and prompt lookup."""

    def __init__(
        self,
        load: Callable[[Vocabulary], DraftModel],
        costs: StepCosts | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._load = load
        self._on_close = on_close
        self._model: DraftModel | None = None
        self._tables: list[StaticNgramCache] = []
        self._speculator = Speculator(self._drafter, self._close, costs=costs)

    def __call__(self, vocabulary: Vocabulary) -> Speculator:
        """Load the draft model for the target model's vocabulary. Raises what loading raises, or InvalidOption."""
        self._unload()
        self._model = self._load(vocabulary)
        self._tables = tables_for(vocabulary.fingerprint)
        return self._speculator

    def _drafter(self) -> Drafter:
        drafters = [*self._tables, PromptLookup(), self._model.drafter()] if self._model else []
        return CombinedDrafter(drafters, self._speculator.acceptance.probability)

    def _close(self) -> None:
        self._unload()
        self._on_close()

    def _unload(self) -> None:
        if self._model:
            self._model.close()
            self._model = None
