"""Mapping of a Hugging Face checkpoint to GGUF: tensor names, hyperparameters, vocabulary and metadata."""
