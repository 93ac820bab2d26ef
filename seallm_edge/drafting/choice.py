"""What guesses for a model, by its vocabulary."""

from __future__ import annotations

from collections.abc import Callable

from .context_ngram import ContextNgram
from .contract import Drafter, Vocabulary
from .costs import StepCosts
from .mixture import Mixture
from .model_drafter import DraftModel
from .speculator import Speculator
from .table import NgramTable
from .tables import tables_for


class TextDrafting:
    """Guesses from tables and from the text itself; one for an engine, however often its model is loaded.

    `costs` are what is known of its steps; `on_close` is called each time it is unloaded.
    """

    def __init__(self, costs: StepCosts | None = None, on_close: Callable[[], None] = lambda: None) -> None:
        self._costs = costs
        self._on_close = on_close
        self._speculator: Speculator | None = None

    def __call__(self, vocabulary: Vocabulary) -> Speculator:
        """The same one each time: it has learnt something."""
        if self._speculator is None:
            tables = tables_for(vocabulary.fingerprint)

            def drafter() -> Drafter:
                return Mixture([*tables, ContextNgram()], speculator.acceptance.probability)

            self._speculator = speculator = Speculator(drafter, self._on_close, costs=self._costs)
        return self._speculator


class ModelDrafting:
    """Guesses from a smaller model, which comes and goes with the large one, and from what `TextDrafting` has."""

    def __init__(
        self,
        load: Callable[[Vocabulary], DraftModel],
        costs: StepCosts | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._load = load
        self._on_close = on_close
        self._model: DraftModel | None = None
        self._tables: list[NgramTable] = []
        self._speculator = Speculator(self._drafter, self._close, costs=costs)

    def __call__(self, vocabulary: Vocabulary) -> Speculator:
        """Load the small model, for the vocabulary of the large one. Raises what loading raises, or InvalidOption."""
        self._unload()
        self._model = self._load(vocabulary)
        self._tables = tables_for(vocabulary.fingerprint)
        return self._speculator

    def _drafter(self) -> Drafter:
        drafters = [*self._tables, ContextNgram(), self._model.drafter()] if self._model else []
        return Mixture(drafters, self._speculator.acceptance.probability)

    def _close(self) -> None:
        self._unload()
        self._on_close()

    def _unload(self) -> None:
        if self._model:
            self._model.close()
            self._model = None
