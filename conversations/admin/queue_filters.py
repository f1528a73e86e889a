"""The filters of the message queue: what may be chosen, and what a URL's words mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from conversations import feed
from conversations.admin import looks
from endpoints.models import Endpoint, EntityType
from oneio import access
from oneio.access import ModelT
from oneio.admin import switch
from oneio.models import Environment
from routing.models import RoutingRule

SPANS = {"1": "Last hour", "24": "Last 24 hours", "168": "Last 7 days", "720": "Last 30 days"}
BASIC = ("state", "source", "rule", "target", "since")
ADVANCED = ("use_case", "source_entity", "target_entity", "environment", "begin", "end")
MOMENT = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Offered:
    """Everything that a person may filter by, as far as the person may see it."""

    request: HttpRequest

    @cached_property
    def endpoints(self) -> dict[int, Endpoint]:
        """Endpoints with gate and environment, by id."""
        rows = self._here(access.readable(self.request.user, Endpoint))
        return {row.pk: row for row in rows.select_related("gate__endpoint", "environment__organization")}

    @cached_property
    def rules(self) -> dict[int, RoutingRule]:
        """Rules by id."""
        return {row.pk: row for row in self._here(access.readable(self.request.user, RoutingRule))}

    @cached_property
    def entities(self) -> list[str]:
        """Names of entity types."""
        rows = access.readable(self.request.user, EntityType)
        return sorted(set(rows.order_by().values_list("name", flat=True).distinct()))

    @cached_property
    def environments(self) -> list[Environment]:
        """The environments in which there is an endpoint."""
        found = {row.environment_id: row.environment for row in self.endpoints.values()}
        return sorted(found.values(), key=str)

    @property
    def visible(self) -> feed.Visible:
        """The rows that lists may be made of."""
        user = self.request.user
        return feed.Visible(
            self._here(access.readable(user, Endpoint)), self._here(access.readable(user, RoutingRule))
        )

    def label(self, row: Endpoint | RoutingRule) -> str:
        """A name; with its environment where there are several."""
        several = len(self.environments) > 1
        return f"{row.name} ({self._kind(row.environment_id)})" if several else row.name

    def _here(self, rows: QuerySet[ModelT]) -> QuerySet[ModelT]:
        """Cut down to the environment that the person works in; what posted filters name is theirs to cut."""
        posted = QueryDict(self.request.POST.get("filters", "")).get(switch.KEY)
        environment = None if posted else switch.chosen(self.request)
        return rows.filter(environment=environment) if environment else rows

    def _kind(self, environment_id: int) -> str:
        return next((str(row) for row in self.environments if row.pk == environment_id), "")


class QueueFilters(forms.Form):
    """What the address of the page asks for. `wanted` is its meaning; only of a valid form."""

    q = forms.CharField(required=False, max_length=255, label="Ticket")
    state = forms.ChoiceField(required=False, label="Status")
    source = forms.ChoiceField(required=False, label="From")
    target = forms.ChoiceField(required=False, label="To")
    rule = forms.ChoiceField(required=False, label="Rule")
    since = forms.ChoiceField(required=False, label="Time", choices=[("", "Any time"), *SPANS.items()])
    use_case = forms.ChoiceField(required=False, label="Use case")
    source_entity = forms.ChoiceField(required=False, label="Received as")
    target_entity = forms.ChoiceField(required=False, label="Sent as")
    environment = forms.ChoiceField(required=False, label="Environment")
    begin = forms.DateTimeField(required=False, label="Received from")
    end = forms.DateTimeField(required=False, label="Received until")
    before = forms.IntegerField(required=False, min_value=1)

    def __init__(self, data: Any, offered: Offered) -> None:
        super().__init__(data)
        endpoints = [(row.pk, offered.label(row)) for row in offered.endpoints.values()]
        self._offer("state", "Any status", states())
        self._offer("source", "Any endpoint", endpoints)
        self._offer("target", "Any endpoint", endpoints)
        self._offer("rule", "Any rule", [(row.pk, offered.label(row)) for row in offered.rules.values()])
        cases = sorted({row.use_case for row in offered.rules.values() if row.use_case})
        self._offer("use_case", "Any use case", [(case, case) for case in cases])
        entities = [(name, name) for name in offered.entities]
        self._offer("source_entity", "Any entity", entities)
        self._offer("target_entity", "Any entity", entities)
        self._offer("environment", "Any environment", [(row.pk, str(row)) for row in offered.environments])
        self._look()

    @property
    def wanted(self) -> feed.Wanted:
        """The cleaned values as the feed understands them."""
        given = self.cleaned_data
        hours = given["since"]
        return feed.Wanted(
            term=given["q"].strip(),
            state=given["state"],
            environment=_key(given["environment"]),
            source=_key(given["source"]),
            source_entity=given["source_entity"],
            rule=_key(given["rule"]),
            use_case=given["use_case"],
            target=_key(given["target"]),
            target_entity=given["target_entity"],
            since=timezone.now() - timedelta(hours=int(hours)) if hours else given["begin"],
            until=given["end"],
            before=given["before"],
        )

    @property
    def narrows(self) -> bool:
        """Whether anything is filtered by."""
        return any(value for name, value in self.data.items() if name in self.fields and name != "before")

    @property
    def basic(self) -> list[forms.BoundField]:
        """The filters that are always at hand."""
        return [self[name] for name in BASIC]

    @property
    def advanced(self) -> list[forms.BoundField]:
        """The filters that are folded away."""
        hidden = {"environment"} if len(self.fields["environment"].choices) < 3 else set()  # type: ignore[attr-defined]
        return [self[name] for name in ADVANCED if name not in hidden]

    @property
    def opens_advanced(self) -> bool:
        """Whether one of those that are folded away is in use."""
        return any(self.data.get(name) for name in ADVANCED)

    def _offer(self, name: str, nothing: str, choices: Iterable[tuple[Any, str]]) -> None:
        self.fields[name].choices = [("", nothing), *choices]  # type: ignore[attr-defined]

    def _look(self) -> None:
        for name, field in self.fields.items():
            field.widget.attrs |= {"class": "oi-input", "id": f"filter-{name}"}
        for name in ("begin", "end"):
            widget = forms.DateTimeInput({"type": "datetime-local", "class": "oi-input"}, MOMENT)
            self.fields[name].widget = widget


def states() -> list[tuple[str, str]]:
    """The states to filter by, in words: those that need a person, what was sent, what became of the rest."""
    sent = [(name, f"Sent: {_word(name)}") for name in feed.DELIVERY_STATES]
    received = [
        (state, f"Received: {look.word}")
        for state, look in looks.MESSAGES.items()
        if state in feed.MESSAGE_STATES
    ]
    return [(feed.NEEDS, "Needs you"), *sent, *received]


def _word(state: str) -> str:
    if state == feed.RETRYING:
        return looks.RETRYING.word
    return looks.DELIVERIES[state if state != feed.WAITING else "queued"].word


def _key(text: str) -> int | None:
    return int(text) if text else None
