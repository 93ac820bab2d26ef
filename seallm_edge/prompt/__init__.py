"""Prompts: messages to the text that a chat model was trained on."""
