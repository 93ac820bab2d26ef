"""`TemplateSandbox`: the Jinja environment of chat templates, with the helpers that transformers gives them.

A template comes from a model file and is untrusted code: one has run a shell (CVE-2024-34359). It runs in Jinja's
immutable sandbox with a short list of methods and filters, plain data, and a work budget.
ref: transformers, utils/chat_template_utils.py, `_cached_compile_jinja_template`
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import nodes, runtime
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from .template_tree import CHARGE, MEASURED
from .work_budget import Budget, growth, size_of

_MAX_FORMAT = 100

_FILTERS = (  # Jinja's filters that known templates use
    "abs capitalize count d default dictsort e escape first float indent int items join last length list lower map max "
    "min reject rejectattr replace reverse safe select selectattr sort string title trim unique upper"
)
_TEXT_METHODS = (
    "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric isspace "
    "istitle isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit "
    "rstrip split splitlines startswith strip swapcase title upper"
)
_STRINGIFIES = frozenset(("string", "tojson", "sort", "unique", "min", "max", "dictsort", MEASURED))
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS.split()),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
}
_HELPERS = (runtime.LoopContext, runtime.Macro, Cycler, Joiner)
_LONG_PADDING = re.compile(r"%[^a-zA-Z%]*(?:\d{3}|\*)")


class TemplateRefusal(Exception):
    """Message of a template that called `raise_exception`."""


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """Jinja environment of one template. One thread at a time may render with it."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            finalize=self._printable,
            optimized=False,  # constant folding would escape the budget
            cache_size=0,
        )
        self.start()
        known: dict[str, Callable[..., Any]] = {name: self.filters[name] for name in _FILTERS.split()} | {
            "tojson": tojson,
            MEASURED: _unchanged,
        }
        self.filters = {name: self._counted(name, function) for name, function in known.items()}
        self.filters[CHARGE] = self._charge
        tests: dict[str, Any] = {**self.tests}
        self.tests = {name: self._counted(MEASURED, function) for name, function in tests.items()}
        self.globals.clear()
        self.globals.update(
            range=self._range,
            dict=_new_dict,
            namespace=_TemplateNamespace,
            cycler=Cycler,
            joiner=Joiner,
            raise_exception=raise_exception,
            strftime_now=strftime_now,
        )

    def start(self, n_messages: int = 0) -> None:
        """Reset the work budget for the next rendering, of `n_messages` messages."""
        self.budget = Budget(n_messages)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may access `obj.attr`: listed methods of texts and collections, and Jinja's helpers."""
        for kind, methods in _METHODS.items():
            if isinstance(obj, kind):
                return attr in methods
        if isinstance(obj, Namespace):
            return not attr.startswith("_")
        return isinstance(obj, _HELPERS) and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Result of `+`, `*`, `**` or `%`, charged to the budget before it is computed."""
        self.budget.charge(growth(operator, left, right))
        if operator == "%" and isinstance(left, str):
            self.budget.measure(right)
            if _LONG_PADDING.search(left):
                raise SecurityError("it pads text by hundreds of characters")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: runtime.Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call a method or a macro; its result is charged to the budget."""
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            args = __self._count_method(__obj.__name__, owner, args)
        result = super().call(__context, __obj, *args, **kwargs)
        __self.budget.charge(size_of(result))
        return result

    def _count_method(self, name: str, text: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if name == "join" and args:
            args = (self._listed(args[0], text), *args[1:])
        if name == "replace" and len(args) > 1 and isinstance(args[0], str) and isinstance(args[1], str):
            self.budget.charge(text.count(args[0]) * len(args[1]))
        self.budget.charge(len(text))
        return args

    def _listed(self, items: Any, separator: object) -> list[Any]:
        """Items of a join, each charged with its separator."""
        listed = list(items)
        self.budget.measure(listed)
        self.budget.charge(len(listed) * size_of(separator))
        return listed

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Filter or test that charges its work; the first argument is the environment or context if it takes one."""
        at = 1 if hasattr(function, "jinja_pass_arg") else 0

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            values = list(args)
            if name == "join":
                separator = values[at + 1] if len(values) > at + 1 else kwargs.get("d", "")
                values[at] = self._listed(values[at], separator)
            elif name in ("indent", "replace"):
                self._count_texts(name, [*values[at:], *kwargs.values()])
            elif name in _STRINGIFIES:
                self.budget.measure(values[at:])
            result = function(*values, **kwargs)
            self.budget.charge(size_of(result))
            return result

        return run

    def _count_texts(self, name: str, values: list[Any]) -> None:
        """Charge the text that an `indent` or `replace` may add."""
        self.budget.measure(values)
        text, *changes = (str(value) if name == "replace" else value for value in values)
        added = max((value if isinstance(value, int) else size_of(value) for value in changes), default=4)
        counts = map(text.count, changes) if name == "replace" else [str(text).count("\n") + 1]
        self.budget.charge(max(counts, default=0) * added)

    def _printable(self, value: Any) -> Any:
        """Printed value, its size charged."""
        self.budget.measure(value)
        return value

    def _charge(self, work: int) -> None:
        self.budget.charge(work)

    def _range(self, *args: int) -> range:
        numbers = range(*args)
        self.budget.charge(len(numbers))
        return numbers


class _Generation(Extension):
    """Block `{% generation %}`, which marks replies for training; rendering gives its content."""

    tags = frozenset(("generation",))  # type: ignore[assignment]  # Jinja only tests membership

    def parse(self, parser: Parser) -> nodes.Node:
        """Statements of the block, in a scope of their own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


class _TemplateNamespace(Namespace):
    """Jinja's `namespace()` without names that begin with an underscore, which could be Python's own attributes."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *values = args
        for name in dict(*values, **kwargs):
            _require_plain(name)
        Namespace.__init__(self, *values, **kwargs)

    def __setitem__(self, name: str, value: Any) -> None:
        _require_plain(name)
        super().__setitem__(name, value)


def raise_exception(message: object) -> None:
    """Template function that refuses messages. Raises TemplateRefusal."""
    raise TemplateRefusal(str(message))


def strftime_now(form: str) -> str:
    """Current time by a format; templates put today's date in system messages."""
    return datetime.now().strftime(str(form)[:_MAX_FORMAT])


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON filter as in transformers; Jinja's own escapes HTML."""
    if isinstance(indent, str) or (indent or 0) > _MAX_FORMAT:
        raise SecurityError("it indents JSON by hundreds of characters")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _unchanged(value: Any) -> Any:
    return value


def _new_dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _require_plain(name: object) -> None:
    if not isinstance(name, str) or name.startswith("_"):
        raise SecurityError(f"it stores {name!r:.40} on a namespace")
