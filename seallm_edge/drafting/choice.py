"""Drafter sources of an engine: n-gram caches and prompt lookup, with or without a draft model besides."""

from __future__ import annotations

from collections.abc import Callable

from .combined_drafter import CombinedDrafter
from .contract import Drafter, Likelihood, Vocabulary
from .model_drafter import DraftModel
from .prompt_lookup import PromptLookup
from .table import StaticNgramCache
from .tables import tables_for


class TextDrafting:
    """Drafting by n-gram caches and prompt lookup."""

    def __init__(self) -> None:
        self._tables: list[StaticNgramCache] | None = None

    def attach(self, vocabulary: Vocabulary) -> None:
        """Open the n-gram tables of the vocabulary, once: a reloaded model has the same."""
        if self._tables is None:
            self._tables = tables_for(vocabulary.fingerprint)

    def new(self, likelihood: Likelihood) -> Drafter:
        """A drafter for one sequence."""
        return CombinedDrafter(self.drafters(), likelihood)

    def drafters(self) -> list[Drafter]:
        """Drafters for one sequence, the fastest first."""
        return [*(self._tables or []), PromptLookup()]

    def detach(self) -> None:
        """Nothing to free: tables are mapped files."""


class ModelDrafting:
    """Drafting by a draft model, loaded and unloaded with the target model, besides n-gram caches and prompt lookup."""

    def __init__(self, load: Callable[[Vocabulary], DraftModel]) -> None:
        self._load = load
        self._model: DraftModel | None = None
        self._text = TextDrafting()

    def attach(self, vocabulary: Vocabulary) -> None:
        """Load the draft model for the target model's vocabulary. Raises what loading raises, or InvalidOption."""
        self.detach()
        self._model = self._load(vocabulary)
        self._text.attach(vocabulary)

    def new(self, likelihood: Likelihood) -> Drafter:
        """A drafter for one sequence; an idle one while no draft model is loaded."""
        drafters = [*self._text.drafters(), self._model.drafter()] if self._model else []
        return CombinedDrafter(drafters, likelihood)

    def detach(self) -> None:
        """Free the draft model. Safe twice."""
        if self._model:
            self._model.close()
            self._model = None
