"""The OpenAPI document against the server that it describes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from seallm_edge.server import ServerSettings
from seallm_edge.server.operations import OPERATIONS
from support.served import Served, scripted

MODEL = "smollm2-135m-instruct"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Halo"}], "max_tokens": 4}
FEW = {"options": {"num_predict": 4}, "stream": False, "model": MODEL}
FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
TOOLS = {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required", "max_tokens": 60}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with scripted() as served:
        status, headers, data = served.request("GET", "/openapi.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.fixture(scope="module")
def served(demo_file: Path) -> Iterator[Served]:
    with Served(ServerSettings(port=0, model=str(demo_file), loading={"context": 1024})) as running:
        yield running


def test_it_has_each_route_of_the_server_and_no_other(document: dict[str, Any]) -> None:
    with scripted() as served:
        routes = {
            f"{method} {route.path.replace(':path', '')}"
            for route in served.app._app.routes
            if route.include_in_schema
            for method in route.methods - {"HEAD"}
        }
    described = {f"{method.upper()} {path}" for path, each in document["paths"].items() for method in each}
    assert described == routes == set(OPERATIONS)


def test_its_schemas_are_schemas_and_its_references_lead_to_them(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    references = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert references == set(schemas)


def test_its_parts_have_the_fields_of_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= document["info"].keys()
    for path, operations in document["paths"].items():
        assert path.startswith("/")
        for method, operation in operations.items():
            assert method in ("get", "post", "delete")
            assert set(operation) <= {"summary", "parameters", "requestBody", "responses", "security"}
            assert {name["name"] for name in operation.get("parameters", [])} == (
                {"name"} if "{name}" in path else set()
            )
            for status, response in operation["responses"].items():
                assert status.isdecimal()
                assert response["description"]
                assert all("schema" in media for media in response["content"].values())


def test_a_body_may_be_missing_where_no_field_is_needed(document: dict[str, Any]) -> None:
    required = {
        path: operations["post"]["requestBody"]["required"]
        for path, operations in document["paths"].items()
        if "requestBody" in operations.get("post", {})
    }
    assert required["/v1/messages"] is True
    assert required["/api/chat"] is False
    with scripted() as served:
        assert served.request("POST", "/v1/messages")[0] == 400
        assert served.request("POST", "/api/chat")[0] == 200


def test_it_is_behind_the_key() -> None:
    with scripted(settings=ServerSettings(port=0, key="secret-key")) as served:
        assert served.request("GET", "/openapi.json")[0] == 401
        assert served.request("GET", "/openapi.json", headers={"x-api-key": "secret-key"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", "/v1/chat/completions", CHAT, {}),
        ("POST", "/v1/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 2, "n": 2}, {}),
        ("POST", "/v1/chat/completions", CHAT | TOOLS, {}),
        ("POST", "/v1/completions", {"prompt": "Halo", "max_tokens": 4, "logprobs": 1}, {}),
        ("POST", "/v1/responses", {"input": "Halo", "max_output_tokens": 4}, {}),
        ("POST", "/v1/responses/input_tokens", {"input": "Halo"}, {}),
        ("POST", "/v1/messages", CHAT, {}),
        ("POST", "/v1/messages/count_tokens", CHAT, {}),
        ("GET", "/v1/models", None, {}),
        ("GET", "/v1/models", None, {"anthropic-version": "2023-06-01"}),
        ("POST", "/api/chat", CHAT | FEW, {}),
        ("POST", "/api/chat", {"model": MODEL}, {}),
        ("POST", "/api/generate", {"prompt": "Halo"} | FEW, {}),
        ("POST", "/api/show", {"model": MODEL}, {}),
        ("GET", "/api/tags", None, {}),
        ("GET", "/api/ps", None, {}),
        ("GET", "/api/version", None, {}),
        ("GET", "/health", None, {}),
        ("GET", "/props", None, {}),
        ("GET", "/slots", None, {}),
        ("POST", "/tokenize", {"content": "Halo", "with_pieces": True}, {}),
        ("POST", "/detokenize", {"tokens": [1, 2]}, {}),
        ("POST", "/v1/chat/completions", {"messages": 5}, {}),
        ("POST", "/v1/chat/completions", CHAT | {"model": "nothing"}, {}),
        ("POST", "/v1/messages", {}, {}),
        ("POST", "/v1/embeddings", {"input": "Halo"}, {}),
        ("POST", "/api/embed", {"input": "Halo"}, {}),
        ("POST", "/api/copy", {"source": "a", "destination": "b"}, {}),
        ("GET", "/v1/models/nothing", None, {"host": "evil.example"}),
    ],
)
def test_real_responses_are_as_it_says(
    served: Served, document: dict[str, Any], method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    operation = document["paths"][path.replace("/nothing", "/{name}")][method.lower()]
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status, given, data = served.request(method, path, body, headers)
    schema = operation["responses"][str(status)]["content"][given["content-type"]]["schema"]
    _validator(schema, document).validate(json.loads(data))
    if asked and status == 200:
        _validator(asked, document).validate(body)


def _validator(schema: Any, document: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})
