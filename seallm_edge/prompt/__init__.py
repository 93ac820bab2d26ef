"""Prompts: messages → the chat format of the model."""
