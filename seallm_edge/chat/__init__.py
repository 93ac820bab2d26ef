"""Conversations: messages with one model, kept in memory."""

from .conversation import Conversation

__all__ = ["Conversation"]
