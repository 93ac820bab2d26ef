"""LangChain's own tests of chat models, over our server by OpenAI's and by Ollama's protocol."""

from __future__ import annotations

import os

from langchain_core.language_models import BaseChatModel
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

URL = os.environ["TEST_API_BASE_URL"]
MODEL = "smollm2-135m-instruct"


class TestChatOpenAI(ChatModelIntegrationTests):
    """OpenAI's chat."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        """Class under test."""
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        """Its parameters."""
        own = {"model": MODEL, "base_url": f"{URL}/v1", "api_key": "any", "temperature": 0, "max_tokens": 400}
        # so small a model repeats itself, texts and calls
        return own | {"stream_usage": True, "frequency_penalty": 0.6, "model_kwargs": {"parallel_tool_calls": False}}


class TestChatOllama(ChatModelIntegrationTests):
    """Ollama's chat, which has no tool choice."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        """Class under test."""
        return ChatOllama

    @property
    def chat_model_params(self) -> dict[str, object]:
        """Its parameters."""
        return {"model": MODEL, "base_url": URL, "temperature": 0, "num_predict": 400, "repeat_penalty": 1.3}

    @property
    def has_tool_choice(self) -> bool:
        """Whether a call can be forced."""
        return False
