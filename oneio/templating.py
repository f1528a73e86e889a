"""User-written text templates: Liquid, with bounds on size, time and memory that no template gets around."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TextIO

from liquid import Environment, RenderContext
from liquid.builtin import echo_tag, output
from liquid.builtin.expressions import BooleanExpression
from liquid.builtin.expressions import Path as LiquidPath
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.exceptions import (
    LiquidError,
    LiquidSyntaxError,
    LocalNamespaceLimitError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    UndefinedError,
)
from liquid.filter import with_context
from liquid.output import LimitedStringIO
from liquid.template import BoundTemplate
from liquid.undefined import UNDEFINED, FalsyStrictUndefined, Undefined
from liquid.utils import ReadOnlyChainMap

from oneio.paths import Path
from oneio.plain_templates import Plain, filled, plain
from oneio.template_filters import FILTERS, PART_WEIGHT, WEIGHTS, WRITTEN, Filter, Weight
from oneio.template_values import MAX_VALUE, FilterLimit, Survey, survey, to_text

MAX_SOURCE = 32 * 1024
"""Characters of a template."""
MAX_TAG = 2_000
"""Characters between `{{` and `}}`."""
MAX_SPACES = 100
MAX_OUTPUT = 64 * 1024
"""Bytes of UTF-8 that a template may give."""
MAX_LOCALS = 4 * 1024 * 1024
MAX_LOOPS = 10_000
MAX_WORK = 8 * 1024 * 1024
"""What one rendering may do, where looking at one character costs 1. The weights are such that whatever a
template does with it takes no more than 50 ms of one core (measured)."""
LOOP_WEIGHT = 16
"""What one character of template costs each time that a loop comes by it."""
READ_WEIGHT, STEP_WEIGHT = 200, 100
"""What it costs to read a value, and each step of its path."""
COMPARED_PART = 10
"""What one part of a list or mapping costs each time that it is compared."""
MAX_NAME = 200
"""Characters of a name that stands in square brackets."""
MAX_CACHED = 1024
_CASES = (CaseNode, MultiExpressionBlockNode)
_REFUSED_TAGS = ("include", "render", "tablerow")
_OPENING = re.compile(r"\{\{|\{%-?\s{0,100}(#|\w+)?")
_VERBATIM = {name: re.compile(rf"\{{%-?\s{{0,100}}end{name}\s{{0,100}}-?%\}}") for name in ("raw", "doc")}
"""Blocks that are not read, with what ends them."""
_SPACES = re.compile(rf"\s{{{MAX_SPACES + 1}}}")


class TemplateError(ValueError):
    """A template that cannot be used, or gave too much; its message says what, where and what to do.

    `line` is the line of the template, counted from 1, or None if it is about the whole.
    """

    def __init__(self, sentence: str, line: int | None = None) -> None:
        super().__init__(f"Line {line}: {sentence}" if line else sentence)
        self.line = line


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; make it with `compile_template`."""

    source: str
    _liquid: BoundTemplate = field(repr=False, compare=False)
    _names: frozenset[str] = field(repr=False, compare=False)
    _compared: frozenset[int] = field(repr=False, compare=False)
    _plain: Plain | None = field(default=None, repr=False, compare=False)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for these values, at most 64 KiB of UTF-8. Raises TemplateError."""
        if self._plain is not None and (text := filled(self._plain, values)) is not None:
            return text
        context = _Context(self._liquid, values, len(self.source), self._compared)
        buffer = context.get_buffer()
        try:
            self._liquid.render_with_context(context, buffer)
        except LiquidError as error:
            # Without the cause: python-liquid's own words may hold values of the message.
            raise _render_error(error, self.source) from None
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            raise TemplateError(_UNWORKABLE.format("The template")) from None
        return str(buffer.getvalue())

    def names(self) -> frozenset[str]:
        """The paths of the values that it reads, such as `attributes.title`."""
        return self._names


@lru_cache(maxsize=MAX_CACHED)
def compile_template(source: str, *, strict: bool = False) -> Template:
    """The template written in `source`. A value that is not there is empty text; with `strict`, an error.

    Raises TemplateError if it is too long, cannot be read, or uses a tag or filter that there is not.
    """
    _check_source(source)
    environment = _STRICT if strict else _LENIENT
    try:
        liquid = environment.from_string(source)
        analysis = liquid.analyze()
    except (LiquidError, RecursionError) as error:
        raise _syntax_error(error) from error
    _check_filters(analysis.filters, source)
    _check_ranges(liquid)
    names, compared = frozenset(_names(analysis.globals)), frozenset(_compared(liquid))
    return Template(source, liquid, names, compared, None if strict else plain(liquid.nodes))


class _Context(RenderContext):  # type: ignore[misc]
    """One rendering: the values it reads, no clock, and how much work it has done."""

    def __init__(
        self,
        template: BoundTemplate,
        values: Mapping[str, Any],
        source_length: int,
        compared: frozenset[int],
    ) -> None:
        super().__init__(template, globals=values)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self.work = 0
        self._per_loop = LOOP_WEIGHT * source_length
        self._compared = compared
        self._surveys: dict[int, tuple[Any, Survey]] = {}

    def spend(self, units: int) -> None:
        """Count work before it is done. Raises FilterLimit where it would be more than MAX_WORK."""
        if self.work + units > MAX_WORK:
            raise FilterLimit("The template takes too much work. Loop over less, or shorten its texts.")
        self.work += units

    def charge(self, value: Any, weight: Weight) -> None:
        """Count the work of going through a value. Raises FilterLimit."""
        size, parts = survey(value, MAX_VALUE, (MAX_WORK - self.work) // weight.part)
        self.spend(size * weight.character + parts * weight.part)

    def get(self, path: list[Any], *, token: Any, default: Any = UNDEFINED) -> Any:
        """The value at a path, its reading counted. Raises FilterLimit."""
        if any(isinstance(step, str) and len(step) > MAX_NAME for step in path):
            raise FilterLimit(f"A name in square brackets has more than {MAX_NAME} characters. Shorten it.")
        self.spend(READ_WEIGHT + STEP_WEIGHT * len(path))
        value = super().get(path, token=token, default=default)
        if id(token) in self._compared:
            self._charge_comparison(value)
        elif isinstance(value, list | tuple):
            self.spend(len(value) // 8)  # a loop copies what it goes through
        return value

    def _charge_comparison(self, value: Any) -> None:
        """Count what it costs to compare a value, or to look whether something is in it, as deep as it is."""
        if isinstance(value, str):
            return self.spend(len(value))
        if isinstance(value, Undefined) or not isinstance(value, list | tuple | Mapping):
            return None
        if id(value) not in self._surveys:
            most = (MAX_WORK - self.work) // PART_WEIGHT
            self._surveys[id(value)] = value, survey(value, MAX_VALUE, most)
            self.spend(self._surveys[id(value)][1].parts * PART_WEIGHT)
        _, known = self._surveys[id(value)]
        return self.spend(known.size + COMPARED_PART * known.parts)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        super().raise_for_loop_limit(length)
        self.spend(length * self._per_loop)

    def get_buffer(self, buf: TextIO | None = None) -> LimitedStringIO:
        used = buf.size if isinstance(buf, LimitedStringIO) else 0
        return LimitedStringIO(limit=MAX_OUTPUT - used, initial_value="", newline="")


class _TextNode(OutputNode):  # type: ignore[misc]
    """`{{ … }}` that writes times, numbers, lists and mappings as `to_text` does."""

    def render_to_output(self, context: _Context, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        context.charge(value, WRITTEN)
        return buffer.write(to_text(value))


def _environment(undefined: type[Undefined]) -> Environment:
    environment = Environment(undefined=undefined, autoescape=False, strict_filters=True)
    environment.output_stream_limit = MAX_OUTPUT
    environment.local_namespace_limit = MAX_LOCALS
    environment.loop_iteration_limit = MAX_LOOPS
    for name in _REFUSED_TAGS:
        del environment.tags[name]
    for tag in (output.Output.name, echo_tag.TAG_ECHO):
        environment.tags[tag].node_class = _TextNode
    environment.filters = {
        name: _charged(function, WEIGHTS.get(name, Weight())) for name, function in FILTERS.items()
    }
    return environment


def _charged(function: Filter, weight: Weight) -> Filter:
    """The filter, with what it is given and what it gives counted as work and bounded."""

    def run(value: Any, *arguments: Any, context: _Context, **options: Any) -> Any:
        for part in (value, *arguments, *options.values()):
            context.charge(part, weight)
        if getattr(function, "with_environment", False):
            options["environment"] = context.env
        result = function(value, *arguments, **options)
        context.charge(result, Weight())
        return result

    with_liquids_context: Callable[[Filter], Filter] = with_context
    return with_liquids_context(run)


_LENIENT = _environment(Undefined)
_STRICT = _environment(FalsyStrictUndefined)


# Before python-liquid reads it: its lexer takes quadratic time on what is open or full of spaces.


def _check_source(source: str) -> None:
    if len(source) > MAX_SOURCE:
        raise TemplateError(
            f"The template has {len(source)} characters. Shorten it to {MAX_SOURCE} or fewer."
        )
    position = 0
    while opening := _OPENING.search(source, position):
        position = _end_of_tag(source, opening)
        if opening[1] in _VERBATIM:
            position = _end_of_verbatim(source, opening, position)


def _end_of_tag(source: str, opening: re.Match[str]) -> int:
    closing = "}}" if opening[0] == "{{" else "%}"
    end = source.find(closing, opening.end())
    line = _line_of(source, opening.start())
    if end < 0:
        raise TemplateError(f"'{opening[0][:2]}' has no '{closing}'. Close it.", line)
    tag = source[opening.start() : end]
    if len(tag) > MAX_TAG or _SPACES.search(tag):
        raise TemplateError(
            f"'{opening[0][:2]} … {closing}' is too long. Keep it below {MAX_TAG} characters, without"
            " long runs of spaces.",
            line,
        )
    return end + len(closing)


def _end_of_verbatim(source: str, opening: re.Match[str], position: int) -> int:
    if end := _VERBATIM[opening[1]].search(source, position):
        return end.end()
    raise TemplateError(
        f"'{{% {opening[1]} %}}' has no '{{% end{opening[1]} %}}'. Add it.", _line_of(source, opening.start())
    )


def _line_of(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1


# After it: what must not be in the template.


def _check_filters(used: Mapping[str, list[Any]], source: str) -> None:
    for name, [span, *_] in used.items():
        if name not in FILTERS:
            raise TemplateError(
                f"There is no filter '{name}'. There are: {', '.join(sorted(FILTERS))}.",
                _line_of(source, span.index),
            )


def _check_ranges(liquid: BoundTemplate) -> None:
    for node in _nodes(liquid.nodes, RenderContext(liquid)):
        for expression in node.expressions():
            _refuse_range(expression)


def _nodes(nodes: Any, context: RenderContext) -> Iterator[Any]:
    for node in nodes:
        yield node
        yield from _nodes(node.children(context), context)


def _refuse_range(expression: Any) -> None:
    if isinstance(expression, RangeLiteral):
        raise TemplateError(
            "Ranges such as (1..10) are not available. Loop over a list instead.",
            _line_of(expression.token.source, expression.token.start_index),
        )
    for child in expression.children():
        _refuse_range(child)


def _compared(liquid: BoundTemplate) -> Iterator[int]:
    """The tokens of paths in conditions, by identity: their values are gone through when it is compared."""
    for node in _nodes(liquid.nodes, RenderContext(liquid)):
        for expression in node.expressions():
            yield from _paths_compared(expression, inside=isinstance(node, _CASES))


def _paths_compared(expression: Any, *, inside: bool) -> Iterator[int]:
    inside = inside or isinstance(expression, BooleanExpression)
    if inside and isinstance(expression, LiquidPath):
        yield id(expression.token)
    for child in expression.children():
        yield from _paths_compared(child, inside=inside)


def _names(used: Mapping[str, list[Any]]) -> Iterator[str]:
    for variables in used.values():
        for variable in variables:
            yield str(Path(tuple(_known_steps(variable.segments))))


def _known_steps(segments: list[Any]) -> Iterator[str | int]:
    """The steps up to the first that only a message's own values decide, as in `a[b].c`."""
    for segment in segments:
        if not isinstance(segment, str | int):
            return
        yield segment


# What to tell people.


_UNWORKABLE = (
    "{} cannot be worked out with the values of this message. Check that each filter and comparison gets"
    " what it needs: text, a number, a time or a list."
)
_LIMITS: Mapping[type[LiquidError], str] = {
    OutputStreamLimitError: f"The text grows beyond {MAX_OUTPUT // 1024} KiB. Shorten it, with truncate.",
    LoopIterationLimitError: f"The loops run more than {MAX_LOOPS} times. Loop over less.",
    LocalNamespaceLimitError: "assign and capture keep too much. Keep less, or shorten it with truncate.",
}


def _syntax_error(error: LiquidError | RecursionError) -> TemplateError:
    if isinstance(error, LiquidSyntaxError):
        return TemplateError(f"The template cannot be read: {error.message}.", _line(error))
    return TemplateError("The template cannot be read. Its parts are nested too deeply; make them simpler.")


def _render_error(error: LiquidError, source: str) -> TemplateError:
    line = _line(error)
    if isinstance(error, FilterLimit):
        return TemplateError(str(error.message), line)
    if isinstance(error, UndefinedError):
        return TemplateError(f"The message has no such value: {error.message}. Give it a default.", line)
    if type(error) in _LIMITS:
        return TemplateError(_LIMITS[type(error)], line)
    written = source.splitlines()[line - 1].strip()[:80] if line else "The template"
    return TemplateError(_UNWORKABLE.format(f"'{written}'"), line)


def _line(error: LiquidError) -> int | None:
    token = error.token
    return _line_of(token.source, token.start_index) if token and token.start_index >= 0 else None
