"""The template sandbox: names that untrusted code must not reach, and limits on its work."""

import pytest

from seallm_edge.prompt.jinja import TemplateError, chat_template

BODY = "{% for m in messages %}{{ m.content }}{% endfor %}"
ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ messages.__class__ }}",
    "{{ (messages | map(attribute='__class__') | list)[0] }}",
    "{{ messages | attr('__class__') }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ self.__init__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ raise_exception.__code__.co_name }}",
    "{{ range.__self__ }}",
    "{{ strftime_now.__self__ }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ ''.format_map({}) }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ dict.mro() }}",
    "{{ (1).to_bytes(9, 'big') }}",
    "{{ namespace(__class__=1) }}",
    "{% set ns = namespace() %}{% set ns['__class__'] = 1 %}{{ ns.__class__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update(a=1) }}",
    "{{ messages[0].pop('role') }}",
    "{{ loop.__class__ }}",
    "{{ 'a'.encode() }}",
    "{{ 'a'.translate({}) }}",
    "{% import 'os' as os %}",
    "{{ messages | pprint }}",
]
BOMBS = [
    "{% for i in range(10000000) %}{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10000000000 }}",
    "{{ [1] * 10000000000 }}",
    "{{ 10000000000 * 'a' }}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | indent(1000000000, true) }}",
    "{{ 1 | round(1000000000) }}",
    "{{ lipsum(n=1000000) }}",
    "{{ messages | tojson(indent=1000000000) }}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] | join %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.join(['', '', '']) %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x | replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"
    "{% set ns.x = y %}{% endfor %}",
    "{% set ns = namespace(x=2) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
    "{{ ns.x | tojson }}",
    "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x is eq(ns.y) }}",
    "{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(99) }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% for x in [[[]]] recursive %}{{ loop([[[]], [[]]]) }}{% endfor %}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_what_lies_beyond_the_sandbox_is_out_of_reach(source: str) -> None:
    """Refused, or undefined, which prints as nothing."""
    try:
        template = chat_template(source + BODY, ())
    except TemplateError:
        return
    assert template._probe() in ("zqxj" * n for n in (1, 3, 4))


@pytest.mark.slow
@pytest.mark.parametrize("source", BOMBS)
def test_a_template_that_would_fill_memory_or_never_end_is_stopped(source: str) -> None:
    with pytest.raises(TemplateError):
        chat_template(source + BODY, ())


def test_text_written_in_loops_counts() -> None:
    source = "{% macro f() %}{% for i in range(9999) %}" + "x" * 9999 + "{% endfor %}{% endmacro %}{{ f() }}" + BODY
    with pytest.raises(TemplateError, match="it does more work than any chat template needs"):
        chat_template(source, ())
