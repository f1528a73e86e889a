"""Golden tickets in configuration documents: names instead of numbers, so that a case fits every environment.

What a case was given and what is expected stand there as JSON, which keeps every value exactly as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction

from conversations.golden import Checking
from conversations.models import GoldenTicket
from endpoints.models import Endpoint
from oneio.models import Environment
from routing.models import RoutingRule
from routing.portable.companions import GOLDEN
from routing.portable.importing import Change
from routing.portable.reading import Problem

KIND = "Golden ticket"
_KEYS = {"name", "ignore", "given", "expected"}
_ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that YAML takes for line breaks, or does not print."""
Renamed: TypeAlias = Callable[[Any], Any]
"""A number for a name or the other way round; None where there is none."""


class NotHere(Exception):
    """An endpoint that a case names is not in this environment."""


class GoldenSection:
    """The section `golden`: rule → its cases."""

    def write(self, rules: Iterable[RoutingRule]) -> dict[str, Any]:
        """The cases of these rules, by the rule's slug."""
        cases = GoldenTicket.objects.filter(rule__in=[rule.pk for rule in rules]).select_related("rule")
        found: dict[str, Any] = {}
        for case in cases.order_by("rule__slug", "name"):
            found.setdefault(case.rule.slug, []).append(_written(case))
        return found

    def bring_in(self, environment: Environment, content: Any, by: Any) -> Iterator[Change | Problem]:
        """Make the cases of each rule named; those that are there already become the document's."""
        if not isinstance(content, Mapping):
            yield Problem(GOLDEN, "This must be a mapping of rules to lists of golden tickets.")
            return
        for slug, cases in content.items():
            place = f"{GOLDEN}.{slug}"
            rule = RoutingRule.objects.filter(environment=environment, slug=str(slug)).first()
            if rule is None:
                yield Problem(place, f"There is no rule '{slug}' here. Put it into the document.")
                continue
            if not isinstance(cases, list):
                yield Problem(place, "This must be a list of golden tickets.")
                continue
            work = _Work(rule, by, Checking(drafts=True), _numbers(environment), _rule_numbers(environment))
            for at, raw in enumerate(cases):
                yield work.bring_in(raw, f"{place}[{at}]")


@dataclass(frozen=True, slots=True)
class _Work:
    rule: RoutingRule
    by: Any
    checking: Checking
    endpoints: Mapping[str, int]
    rules: Mapping[str, int]

    def bring_in(self, raw: Any, place: str) -> Change | Problem:
        if not isinstance(raw, Mapping) or set(raw) - _KEYS or not raw.get("name"):
            return Problem(place, "A golden ticket has name, given, expected, ignore: see an exported one.")
        try:
            with transaction.atomic():
                return self._saved(str(raw["name"]), self._content(raw))
        except NotHere as endpoint:
            return Problem(f"{place}.given", f"There is no endpoint '{endpoint}' in this environment.")
        except ValidationError as error:
            return Problem(place, " ".join(error.messages))
        except Exception:  # noqa: BLE001 (whatever somebody wrote there, it is one sentence and a place)
            return Problem(place, "This is no golden ticket as export writes it. Export it once more.")

    def _content(self, raw: Mapping[Any, Any]) -> dict[str, Any]:
        given = _renamed(json.loads(raw["given"]), self._endpoint, self.rules.get)
        expected = json.loads(raw["expected"])
        if not isinstance(expected["fields"], dict) or not isinstance(expected["result"], str):
            raise TypeError
        return {"given": given, "expected": expected, "ignore": [str(one) for one in raw.get("ignore", [])]}

    def _endpoint(self, slug: Any) -> int:
        if slug not in self.endpoints:
            raise NotHere(slug)
        return self.endpoints[slug]

    def _saved(self, name: str, content: Mapping[str, Any]) -> Change:
        case = GoldenTicket.objects.filter(rule=self.rule, name=name).first()
        fate = "changed" if case else "new"
        case = case or GoldenTicket(rule=self.rule, environment_id=self.rule.environment_id, name=name)
        if all(getattr(case, part, None) == value for part, value in content.items()) and fate == "changed":
            return Change(KIND, f"{self.rule.slug}: {name}", "same")
        for part, value in content.items():
            setattr(case, part, value)
        self._check(case)
        case.save()
        if self.by is not None:
            LogEntry.objects.log_actions(self.by.pk, [self.rule], CHANGE, f"Imported the test case “{name}”")
        note = "Its message, what is expected or what is not compared becomes the document's."
        return Change(KIND, f"{self.rule.slug}: {name}", fate, note=note if fate == "changed" else "")

    def _check(self, case: GoldenTicket) -> None:
        """Try it, so that no case comes in that could not be tried later."""
        case.created_by = case.created_by or self.by
        case.clean_fields(exclude=["given", "expected", "environment", "organization"])
        self.checking.check(case)


def _written(case: GoldenTicket) -> dict[str, Any]:
    endpoints = {pk: slug for slug, pk in _numbers(case.environment).items()}
    rules = {pk: slug for slug, pk in _rule_numbers(case.environment).items()}
    given = _renamed(case.given, lambda key: endpoints.get(int(key)), lambda key: rules.get(int(key)))
    ignore = {"ignore": list(case.ignore)} if case.ignore else {}
    return {"name": case.name, **ignore, "given": _json(given), "expected": _json(case.expected)}


def _renamed(given: Mapping[str, Any], endpoint: Renamed, rule: Renamed) -> dict[str, Any]:
    """What a case was given, with other names for endpoints and rules; what has none is left out, as the
    numbers that rules took which are not there. Delays do not count in a case."""
    trace = {name: part for name, part in given["trace"].items() if name != "situation"}
    if "tickets" in trace:
        trace["tickets"] = [key for key in map(endpoint, trace["tickets"]) if key is not None]
    for files in {"files", "earlier_files"} & trace.keys():
        trace[files] = [{**file, "source_endpoint_id": _source(file, endpoint)} for file in trace[files]]
    if "files_sent" in trace:
        trace["files_sent"] = [[endpoint(key), part] for key, part in trace["files_sent"]]
    if "lookups" in trace:
        trace["lookups"] = _keyed(trace["lookups"], rule)
    taken = [(key.partition(":"), number) for key, number in given["taken"].items()]
    return {
        **given,
        "endpoint": endpoint(given["endpoint"]),
        "tickets": _keyed(given["tickets"], endpoint),
        "taken": {f"{rule(key)}:{name}": number for (key, _, name), number in taken if rule(key) is not None},
        "trace": trace,
    }


def _source(file: Mapping[str, Any], endpoint: Renamed) -> Any:
    return endpoint(file["source_endpoint_id"]) if file["source_endpoint_id"] else 0


def _keyed(parts: Mapping[str, Any], name: Renamed) -> dict[str, Any]:
    return {str(name(key)): part for key, part in parts.items() if name(key) is not None}


def _numbers(environment: Environment) -> dict[str, int]:
    return dict(Endpoint.objects.filter(environment=environment).values_list("slug", "pk"))


def _rule_numbers(environment: Environment) -> dict[str, int]:
    return dict(RoutingRule.objects.filter(environment=environment).values_list("slug", "pk"))


def _json(value: Any) -> str:
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    return _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", text) + "\n"
