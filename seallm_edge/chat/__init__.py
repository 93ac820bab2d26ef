"""Conversations: messages with a memory."""

from .conversation import Conversation

__all__ = ["Conversation"]
