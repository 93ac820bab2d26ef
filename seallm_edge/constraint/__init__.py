"""Structured output: a JSON schema or a grammar constrains a reply by tokens. Knows bytes, not models or sampling."""

from .compiler import Grammar, GrammarCompiler, Vocabulary
from .matcher import Constraint

__all__ = ["Constraint", "Grammar", "GrammarCompiler", "Vocabulary"]
