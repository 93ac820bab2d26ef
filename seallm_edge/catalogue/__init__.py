"""Models that seallm-edge knows: cards, shapes of transformers, recipes of quantization types."""
