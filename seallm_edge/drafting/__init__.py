"""Guesses of a reply's next tokens, and the policy that decides how many are worth checking.

The model checks guesses in one step with the token it writes anyway; what it would not have said is rolled back. So
guesses change when a text comes, and never which.
"""

from .choice import ModelDrafting, TextDrafting
from .context_ngram import ContextNgram
from .contract import Drafter, Guess, Vocabulary
from .costs import Remembered, StepCosts
from .mixture import Mixture
from .model_drafter import DraftModel
from .speculator import Draft, Drafted, Speculator
from .table import NgramTable

__all__ = [
    "ContextNgram",
    "Draft",
    "DraftModel",
    "Drafted",
    "Drafter",
    "Guess",
    "Mixture",
    "ModelDrafting",
    "NgramTable",
    "Remembered",
    "Speculator",
    "StepCosts",
    "TextDrafting",
    "Vocabulary",
]
