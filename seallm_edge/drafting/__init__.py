"""Speculative decoding: drafters propose next tokens, and a policy decides how many of them a step verifies.

The model verifies draft tokens in the same step that generates a token anyway; rejected ones are rolled back. Drafting
changes when a text arrives, never which.
"""

from .choice import ModelDrafting, TextDrafting
from .combined_drafter import CombinedDrafter
from .contract import Drafter, DrafterSource, DraftToken, Vocabulary
from .costs import Remembered, StepCosts
from .model_drafter import DraftModel
from .prompt_lookup import PromptLookup
from .speculator import Draft, DraftTarget, Speculator
from .table import StaticNgramCache

__all__ = [
    "CombinedDrafter",
    "Draft",
    "DraftModel",
    "DraftTarget",
    "DraftToken",
    "Drafter",
    "DrafterSource",
    "ModelDrafting",
    "PromptLookup",
    "Remembered",
    "Speculator",
    "StaticNgramCache",
    "StepCosts",
    "TextDrafting",
    "Vocabulary",
]
