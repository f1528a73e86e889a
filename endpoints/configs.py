"""Loads what adapters may know of their endpoint, as values that can go to another thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from django.db.models.functions import Now

from endpoints.adapters import ADAPTERS
from endpoints.adapters.base import Adapter, Capability, EndpointConfig, EntityConfig
from endpoints.canonical import EntityKind
from endpoints.models import Credentials, Endpoint, EntityType, InternalComments, UnknownPolicy
from oneio.statements import one

FRESH_SECONDS = 1.0
# Which versions of an endpoint's rows are in force: a changed row lies elsewhere, by another transaction.
_VERSIONS = """
    SELECT concat_ws(' ', e.ctid, e.xmin,
        (SELECT array_agg(ROW(t.ctid, t.xmin)::text ORDER BY t.id)
         FROM endpoints_entitytype t WHERE t.endpoint_id = e.id)::text,
        (SELECT array_agg(ROW(r.ctid, r.xmin)::text ORDER BY r.id)
         FROM endpoints_reference r WHERE r.endpoint_id = e.id)::text,
        (SELECT ROW(c.ctid, c.xmin, c.token_expires_at > now())::text
         FROM endpoints_credentials c WHERE c.endpoint_id = e.id))
    FROM endpoints_endpoint e WHERE e.id = %s
"""


@dataclass(frozen=True, slots=True)
class NamedTicket:
    """Where messages name a ticket of another endpoint, and what sort of ticket that is."""

    path: str
    endpoint_id: int
    entity_type_id: int


@dataclass(frozen=True)
class LoadedEndpoint:
    """One endpoint as a worker uses it."""

    id: int
    environment_id: int
    organization_id: int
    name: str
    slug: str
    kind: str
    config: EndpointConfig
    entity_ids: dict[str, int]
    unknown_policy: Literal["hold", "resend"]
    max_in_flight: int
    max_per_second: float | None
    keeps_internal: bool = False
    """Whether internal comments written there never leave it."""
    references: tuple[NamedTicket, ...] = ()

    @cached_property
    def adapter(self) -> Adapter:
        """The adapter bound to this configuration; threads share it, because it changes nothing of itself."""
        return ADAPTERS[self.kind](self.config)

    @property
    def wants_token(self) -> bool:
        """True while a token must be fetched before anything can be sent."""
        return not self.config.token and self.adapter_needs_token

    @property
    def adapter_needs_token(self) -> bool:
        """True when this endpoint, as configured, authenticates by a token it fetches."""
        return self.can(Capability.TOKEN) and self.adapter.uses_token()

    def can(self, capability: Capability) -> bool:
        """Whether the adapter, as configured, declares `capability`."""
        return capability in self.adapter.capabilities


@dataclass(slots=True)
class Known:
    """An endpoint as it was read, from which versions of its rows, and when somebody last looked at them."""

    endpoint: LoadedEndpoint
    versions: str
    looked_at: float


class EndpointConfigs:
    """Endpoints by id. What has changed is seen within a second; what has not is not read again."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}

    def get(self, endpoint_id: int) -> LoadedEndpoint:
        """The endpoint's configuration, at most FRESH_SECONDS old."""
        known = self._known.get(endpoint_id)
        now = time.monotonic()
        if known is not None and now - known.looked_at <= FRESH_SECONDS:
            return known.endpoint
        # Before anything is read: a change that comes between is seen by the next look.
        [versions] = one(_VERSIONS, [endpoint_id]) or [""]
        if known is None or known.versions != versions:
            known = Known(load(Endpoint.objects.get(pk=endpoint_id)), versions, now)
            self._known[endpoint_id] = known
        known.looked_at = now
        return known.endpoint

    def with_entity(self, endpoint_id: int, entity: str) -> LoadedEndpoint:
        """The same; read anew if it lacks an entity type that a rule of today names."""
        if entity not in self.get(endpoint_id).entity_ids:
            self.forget(endpoint_id)
        return self.get(endpoint_id)

    def forget(self, endpoint_id: int) -> None:
        """Read this endpoint again at the next use."""
        self._known.pop(endpoint_id, None)


def without_secrets(endpoint: Endpoint) -> Adapter:
    """The adapter of `endpoint` for all that asks nobody; its credentials stay closed."""
    return ADAPTERS[endpoint.kind](_config(endpoint, list(endpoint.entity_types.all()), None))


def load(endpoint: Endpoint) -> LoadedEndpoint:
    """Everything a worker needs of `endpoint`, secrets opened."""
    entities = list(endpoint.entity_types.all())
    policy: Literal["hold", "resend"] = "hold" if endpoint.unknown_policy == UnknownPolicy.HOLD else "resend"
    return LoadedEndpoint(
        id=endpoint.pk,
        environment_id=endpoint.environment_id,
        organization_id=endpoint.organization_id,
        name=endpoint.name,
        slug=endpoint.slug,
        kind=endpoint.kind,
        config=_config(endpoint, entities, Credentials.objects.filter(endpoint=endpoint).first()),
        entity_ids={entity.name: entity.pk for entity in entities},
        unknown_policy=policy,
        max_in_flight=endpoint.max_in_flight,
        max_per_second=endpoint.max_per_second,
        references=tuple(
            NamedTicket(row.path, row.referenced_endpoint_id, row.referenced_entity_id)
            for row in endpoint.references.all()
        ),
        keeps_internal=endpoint.internal_comments == InternalComments.NEVER_LEAVE,
    )


def _config(
    endpoint: Endpoint, entities: list[EntityType], credentials: Credentials | None
) -> EndpointConfig:
    live = credentials and Credentials.objects.filter(endpoint=endpoint, token_expires_at__gt=Now()).exists()
    return EndpointConfig(
        id=endpoint.pk,
        name=endpoint.name,
        base_url=endpoint.base_url.rstrip("/"),
        timezone=ZoneInfo(endpoint.timezone),
        settings=endpoint.settings,
        secrets=credentials.secrets if credentials else {},
        entities=tuple(_entity(entity) for entity in entities),
        success_codes=frozenset(endpoint.success_codes),
        unrecoverable_codes=frozenset(endpoint.unrecoverable_codes),
        token=(credentials.token or "") if credentials and live else "",
    )


def _entity(entity: EntityType) -> EntityConfig:
    return EntityConfig(
        name=entity.name,
        kind=EntityKind(entity.kind),
        remote_name=entity.remote_name,
        resolving_value=entity.resolving_value,
        active=entity.status == "active",
        settings=entity.settings,
    )
