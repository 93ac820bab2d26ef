"""Catalogue of models: cards, shapes of transformers, recipes of quantization types."""
