"""How long the server takes for the pages that people have open all day, over many messages.

Usage: python -m benchmarks.page_times MESSAGES   (fills an empty database; prints milliseconds as JSON)
"""

from __future__ import annotations

import json
import sys
import time
from urllib.parse import urlencode

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from benchmarks.many_messages import Way, analyze, fill  # noqa: E402
from benchmarks.measurements import Percentiles  # noqa: E402
from conversations.models import Message  # noqa: E402
from endpoints.canonical import EntityKind  # noqa: E402
from endpoints.models import Endpoint, EntityType  # noqa: E402
from oneio.models import Environment, EnvironmentKind, Organization  # noqa: E402
from routing.models import RoutingRule, RuleVersion  # noqa: E402

WAYS = 5
REPETITIONS = 40
QUEUE = "/admin/conversations/message/"
NEEDS_YOU = "/admin/needs-you/"


def measure(number: int) -> dict[str, object]:
    """Fill the database and time every page; (p50, p95) in milliseconds by the page's name."""
    ways = connected()
    fill(ways, number)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
    analyze()
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("reader"))
    pages = {name: timed(client, address) for name, address in addresses(ways, number).items()}
    return {"messages": number, "pages": pages}


def addresses(ways: list[Way], number: int) -> dict[str, str]:
    """The pages to open, by what they show."""
    busy, rare = ways[0], ways[-1]
    middle = Message.objects.order_by("pk")[number // 2]
    filters: dict[str, dict[str, object]] = {
        "queue": {},
        "queue, far back": {"before": middle.pk},
        "queue, a ticket": {"q": f"INC{number // 3:07}"},
        "queue, a ticket of the target": {"q": f"TA-{number // 3}"},
        "queue, needs you": {"state": "needs-you"},
        "queue, received and not routed": {"state": "unmatched"},
        "queue, state that none is in": {"state": "quarantined"},
        "queue, delivered": {"state": "delivered"},
        "queue, waiting": {"state": "waiting"},
        "queue, cancelled": {"state": "cancelled"},
        "queue, from a busy endpoint": {"source": busy.source.pk},
        "queue, from a quiet endpoint": {"source": rare.source.pk},
        "queue, to a busy endpoint": {"target": busy.target.pk},
        "queue, to a quiet endpoint": {"target": rare.target.pk},
        "queue, by a rule": {"rule": busy.rule.pk},
        "queue, by use case": {"use_case": "Incidents"},
        "queue, last hour": {"since": "1"},
        "queue, last week to an endpoint": {"since": "168", "target": busy.target.pk},
    }
    return {name: f"{QUEUE}?{urlencode(query)}" for name, query in filters.items()} | {"needs you": NEEDS_YOU}


def timed(client: Client, address: str) -> tuple[float, float]:
    """Median and 95th percentile of the server's time for a page, in milliseconds."""
    open_page(client, address)
    spans = [open_page(client, address) for _ in range(REPETITIONS)]
    found = Percentiles.of(spans)
    return found.p50, found.p95


def open_page(client: Client, address: str) -> float:
    """Seconds that a page takes."""
    began = time.perf_counter()
    answer = client.get(address)
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}.")
    return time.perf_counter() - began


def connected() -> list[Way]:
    """An organization with a few busy ways and a quiet one."""
    organization = Organization.objects.create(name="Pages", slug="pages")
    environment = Environment.objects.get_or_create(
        organization=organization, kind=EnvironmentKind.PRODUCTION
    )[0]
    return [_way(environment, number) for number in range(WAYS)]


def _way(environment: Environment, number: int) -> Way:
    source, target = _endpoint(environment, f"source {number}"), _endpoint(environment, f"target {number}")
    rule = RoutingRule.objects.create(
        environment=environment, slug=f"rule-{number}", name=f"Rule {number}", use_case="Incidents"
    )
    RuleVersion.objects.create(
        rule=rule,
        environment=environment,
        number=1,
        source_endpoint=source,
        source_entity=source.entity_types.get(),
        target_endpoint=target,
        target_entity=target.entity_types.get(),
    )
    return Way(rule, source, target)


def _endpoint(environment: Environment, name: str) -> Endpoint:
    endpoint = Endpoint.objects.create(
        environment=environment,
        name=name,
        slug=name.replace(" ", "-"),
        kind="rest",
        base_url="https://tickets.example.com",
    )
    EntityType.objects.create(
        endpoint=endpoint, environment=environment, kind=EntityKind.INCIDENT, name="incident", remote_name="x"
    )
    return endpoint


if __name__ == "__main__":
    json.dump(measure(int(sys.argv[1])), sys.stdout)
