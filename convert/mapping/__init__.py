"""What a Hugging Face checkpoint means: its tensors, sizes, tokens and name in GGUF's words."""
