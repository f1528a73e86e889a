"""Grammar of the Jira Query Language: text into a tree of clauses and an order."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<sign>!=|!~|<=|>=|&&|\|\||[=~<>(),!])"
    r"|(?P<word>[^\s=!~<>(),\"'&|]+))"
)
SIGNS = ("=", "!=", "~", "!~", "<", "<=", ">", ">=")
ESCAPE = re.compile(r"\\(.)")


class BadQueryError(ValueError):
    """A query that cannot be understood; the text is Jira's message."""


@dataclass(frozen=True)
class Token:
    """A piece of a query: kind string, sign, word or end."""

    kind: str
    text: str
    position: int

    def is_word(self, *words: str) -> bool:
        """Say whether it is one of these unquoted words, whatever its case."""
        return self.kind == "word" and self.text.lower() in words

    def is_sign(self, *signs: str) -> bool:
        """Say whether it is one of these signs."""
        return self.kind == "sign" and self.text in signs


@dataclass(frozen=True)
class Operand:
    """A value of a clause: a literal, or a function without arguments, or EMPTY."""

    text: str
    function: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Clause:
    """One comparison; operator is a sign or in, not in, is, is not."""

    field: str
    operator: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Group:
    """Conditions joined: kind and, or, not."""

    kind: str
    parts: tuple["Condition", ...]


Condition = Clause | Group


@dataclass(frozen=True)
class Query:
    """A whole query; `order` holds (field, descending) pairs."""

    where: Condition | None = None
    order: list[tuple[str, bool]] = field(default_factory=list)


def parse(text: str) -> Query:
    """Return the query a text means; raises BadQueryError."""
    return _Parser(_tokens(text)).query()


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while text[position:].strip():
        match = TOKEN.match(text, position)
        if match is None:
            at = len(text) - len(text[position:].lstrip()) + 1
            raise BadQueryError(
                f"Error in the JQL Query: The character '{text[at - 1]}' is a reserved JQL character. "
                f"You must enclose it in a string. (line 1, character {at})"
            )
        kind = match.lastgroup or ""
        found = match[kind]
        if kind == "string":
            found = ESCAPE.sub(r"\1", found[1:-1])
        tokens.append(Token(kind, found, match.start(kind) + 1))
        position = match.end()
    return [*tokens, Token("end", "", len(text) + 1)]


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def query(self) -> Query:
        where = None
        if self._next.kind != "end" and not self._next.is_word("order"):
            where = self._either()
        order = self._order() if self._next.is_word("order") else []
        if self._next.kind != "end":
            raise self._unexpected("either 'OR' or 'AND'")
        return Query(where, order)

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._next.is_word("or") or self._next.is_sign("||"):
            self._take()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Group("or", tuple(parts))

    def _both(self) -> Condition:
        parts = [self._single()]
        while self._next.is_word("and") or self._next.is_sign("&&"):
            self._take()
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else Group("and", tuple(parts))

    def _single(self) -> Condition:
        if self._next.is_word("not") or self._next.is_sign("!"):
            self._take()
            return Group("not", (self._single(),))
        if self._next.is_sign("("):
            self._take()
            inside = self._either()
            self._expect(")")
            return inside
        return self._clause()

    def _clause(self) -> Clause:
        name = self._name()
        operator = self._operator()
        if operator in ("in", "not in"):
            return Clause(name, operator, self._list())
        operand = self._operand()
        if operator in ("is", "is not") and not operand.empty:
            raise BadQueryError(
                f"The operator '{operator}' can only be used with EMPTY or NULL, not with '{operand.text}'."
            )
        return Clause(name, operator, (operand,))

    def _name(self) -> str:
        token = self._take()
        if token.kind not in ("word", "string"):
            self._at -= token.kind != "end"
            raise self._unexpected("a field name")
        return token.text

    def _operator(self) -> str:
        token = self._take()
        if token.is_sign(*SIGNS):
            return token.text
        if token.is_word("in"):
            return "in"
        if token.is_word("not") and self._next.is_word("in"):
            self._take()
            return "not in"
        if token.is_word("is"):
            negated = self._next.is_word("not")
            self._at += negated
            return "is not" if negated else "is"
        self._at -= token.kind != "end"
        raise self._unexpected("an operator (=, !=, ~, !~, <, >, <=, >=, IN, NOT IN, IS, IS NOT)")

    def _list(self) -> tuple[Operand, ...]:
        self._expect("(")
        operands = [self._operand()]
        while self._next.is_sign(","):
            self._take()
            operands.append(self._operand())
        self._expect(")")
        return tuple(operands)

    def _operand(self) -> Operand:
        token = self._take()
        if token.kind not in ("word", "string"):
            self._at -= token.kind != "end"
            raise self._unexpected("either a value, list or function")
        if token.is_word("empty", "null"):
            return Operand("", empty=True)
        if token.kind == "word" and self._next.is_sign("("):
            self._take()
            self._expect(")")
            return Operand(token.text.lower(), function=True)
        return Operand(token.text)

    def _order(self) -> list[tuple[str, bool]]:
        self._take()
        if not self._take().is_word("by"):
            raise self._unexpected("'BY' after 'ORDER'")
        order = [self._sorted_by()]
        while self._next.is_sign(","):
            self._take()
            order.append(self._sorted_by())
        return order

    def _sorted_by(self) -> tuple[str, bool]:
        name = self._name()
        descending = self._next.is_word("desc")
        self._at += self._next.is_word("asc", "desc")
        return name, descending

    def _expect(self, sign: str) -> None:
        if not self._next.is_sign(sign):
            raise self._unexpected(f"'{sign}'")
        self._take()

    def _unexpected(self, wanted: str) -> BadQueryError:
        token = self._next
        got = "the end of the query" if token.kind == "end" else f"'{token.text}'"
        return BadQueryError(
            f"Error in the JQL Query: Expecting {wanted} but got {got}. (line 1, character {token.position})"
        )
