"""What a reply may say: a JSON schema or a grammar, checked token by token. Knows bytes, not models nor sampling."""

from .compiler import Grammar, GrammarCompiler, Vocabulary
from .matcher import Constraint

__all__ = ["Constraint", "Grammar", "GrammarCompiler", "Vocabulary"]
