"""Syntax tree of a chat template, rewritten before compilation to charge its work and to mark control tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

CHARGE = "charge!"  # no template can call a filter of this name
MEASURED = "measured!"


def guard(tree: nodes.Template) -> None:
    """Make loops, macros, `~` and comparisons of a parsed template charge their work. Changes the tree."""
    for node in list(tree.find_all(nodes.Node)):
        if isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock):
            node.body.insert(0, nodes.ExprStmt(_filtered(nodes.Const(_literal_size(node)), CHARGE)))
    for compare in list(tree.find_all(nodes.Compare)):
        compare.expr = _filtered(compare.expr, MEASURED)
        for operand in compare.ops:
            operand.expr = _filtered(operand.expr, MEASURED)
    for parent in [tree, *tree.find_all(nodes.Node)]:
        for name, value in list(parent.iter_fields()):
            if isinstance(value, list):
                setattr(parent, name, [_joined(item) for item in value])
            else:
                setattr(parent, name, _joined(value))


def mark_literals(tree: nodes.Template, mark: Callable[[str], str]) -> None:
    """Apply `mark` to every literal text of a template. Changes the tree."""
    for data in tree.find_all(nodes.TemplateData):
        data.data = mark(data.data)
    for const in tree.find_all(nodes.Const):
        if isinstance(const.value, str):
            const.value = mark(const.value)


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _joined(value: Any) -> Any:
    """Concatenation `a ~ b` as a join, whose size is charged."""
    if not isinstance(value, nodes.Concat):
        return value
    return _filtered(nodes.List(value.nodes, lineno=value.lineno), "join")


def _literal_size(node: nodes.Node) -> int:
    return sum(len(data.data) for data in node.find_all(nodes.TemplateData))
