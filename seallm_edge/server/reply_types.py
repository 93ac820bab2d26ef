"""Responses as types, for the OpenAPI document: the fields that each has, and those that it may have."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class OpenAIProblem(TypedDict):
    """What a request was refused for: `code` for programs, `param` is the field at fault."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(TypedDict):
    """Refusal in OpenAI's form."""

    error: OpenAIProblem


class OllamaError(TypedDict):
    """Refusal in Ollama's form."""

    error: str


class AnthropicProblem(TypedDict):
    """What a request was refused for."""

    type: str
    message: str


class AnthropicError(TypedDict):
    """Refusal in Anthropic's form."""

    type: Literal["error"]
    error: AnthropicProblem


class PromptDetails(TypedDict):
    """Prompt tokens that the KV cache held."""

    cached_tokens: int


class ChatUsage(TypedDict):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class FunctionCall(TypedDict):
    """Called function, with its arguments as JSON text."""

    name: str
    arguments: str


class FunctionToolCall(TypedDict):
    """Call of a tool."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class AssistantMessage(TypedDict):
    """Message of a chat completion."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[FunctionToolCall]]
    function_call: NotRequired[FunctionCall]


class ChatChoice(TypedDict):
    """Choice of a chat completion."""

    index: int
    message: AssistantMessage
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"]


class ChatCompletion(TypedDict):
    """Whole response of OpenAI's chat."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: ChatUsage
    timings: dict[str, float]


class TextChoice(TypedDict):
    """Choice of a text completion."""

    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length"]


class TextCompletion(TypedDict):
    """Whole response of OpenAI's completions."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: ChatUsage
    timings: dict[str, float]


class ResponsesReply(TypedDict):
    """Whole response of OpenAI's responses."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any]
    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]
    parallel_tool_calls: bool
    incomplete_details: dict[str, str] | None
    error: None


class InputTokens(TypedDict):
    """Tokens of an input of OpenAI's responses."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class OpenAIModel(TypedDict):
    """Model in OpenAI's list."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class AnthropicModel(TypedDict):
    """Model in Anthropic's list."""

    id: str
    type: Literal["model"]
    display_name: str
    created_at: str
    lifecycle: Literal["active"]


class ModelList(TypedDict):
    """Models; Anthropic's clients get their form, which has no `object`."""

    data: list[dict[str, Any]]


class AnthropicReply(TypedDict):
    """Whole message of Anthropic's protocol."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]
    stop_sequence: str | None
    usage: dict[str, int]


class TokenCount(TypedDict):
    """Tokens of a prompt."""

    input_tokens: int


class OllamaFigures(TypedDict):
    """What ends every reply of Ollama's; the durations are nanoseconds. A load or unload has no figures."""

    model: str
    created_at: str
    done: bool
    done_reason: Literal["stop", "length", "load", "unload"]
    total_duration: NotRequired[int]
    load_duration: NotRequired[int]
    prompt_eval_count: NotRequired[int]
    prompt_eval_duration: NotRequired[int]
    eval_count: NotRequired[int]
    eval_duration: NotRequired[int]
    logprobs: NotRequired[list[dict[str, Any]]]


class OllamaChatReply(OllamaFigures):
    """Whole reply of Ollama's chat."""

    message: dict[str, Any]


class OllamaGenerateReply(OllamaFigures):
    """Whole reply of Ollama's generate."""

    response: str


class OllamaModels(TypedDict):
    """Models in Ollama's list."""

    models: list[dict[str, Any]]


class OllamaVersion(TypedDict):
    """Version of Ollama's protocol."""

    version: str


class OllamaShown(TypedDict):
    """Facts of a model."""

    details: dict[str, Any]
    model_info: dict[str, Any]
    capabilities: list[str]
    template: str
    license: str
    modified_at: str


class OllamaStatus(TypedDict):
    """Status of a pull."""

    status: str


class Health(TypedDict):
    """Whether the server can answer; `share` and `loading` are of the model that is being loaded, from 0 to 1."""

    status: Literal["ok", "loading"]
    share: NotRequired[float]
    loading: NotRequired[float]
    error: NotRequired[dict[str, Any]]


class Properties(TypedDict):
    """Settings of the models in memory."""

    build_info: str
    models: list[dict[str, Any]]


class TokenIds(TypedDict):
    """Tokens of a text: ids, or with `with_pieces` objects."""

    tokens: list[int | dict[str, Any]]


class Detokenized(TypedDict):
    """Text of tokens."""

    content: str
