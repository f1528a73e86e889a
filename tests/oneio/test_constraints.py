"""What must not exist cannot be stored: links across organizations and environments, and unknown choices."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction

from conversations.models import Message, MessageBody
from oneio.constraints import CompositeForeignKey
from oneio.models import Environment
from routing.models import RuleVersion
from tests.factories import make_endpoint, make_environment, make_message, make_organization, make_rule
from tests.oneio.rows import MODELS, World, build, make_version

pytestmark = pytest.mark.django_db
LINKS = [
    pytest.param(model, constraint, id=constraint.name)
    for model in MODELS
    for constraint in model._meta.constraints
    if isinstance(constraint, CompositeForeignKey)
]
CHOICES = [
    pytest.param(model, field, id=f"{model.__name__}.{field.name}")
    for model in MODELS
    for field in model._meta.concrete_fields
    if field.choices
]
# Links that need no constraint of several columns, with the reason.
FREE_LINKS = {
    "Environment.organization": "it is the environment's own organization",
    "AttachmentChunk.attachment": "a chunk belongs to nobody but its file",
    "Revision.environment": "it is all that the revision belongs to",
}


def agreed_by(one: Any) -> tuple[str, ...]:
    """The columns of a parametrised constraint on which both rows must agree."""
    fields: tuple[str, ...] = one.values[1].fields[1:]
    return fields


def refusal(constraint: CompositeForeignKey, work: Callable[[], None]) -> str:
    """What the database says to `work` while every other foreign key waits, so that it is this one that
    refuses; nothing stays."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute(f"SET CONSTRAINTS {constraint.name} IMMEDIATE")
            work()
            transaction.set_rollback(True)
    except IntegrityError as error:
        return str(error)
    return "Nothing was refused."


def link(row: models.Model, **columns: Any) -> None:
    """Set links of a stored row, behind the back of all Python code."""
    meta = row._meta
    assert meta.pk is not None
    assignments = ", ".join(f"{meta.get_field(name).column} = %s" for name in columns)
    with connection.cursor() as cursor:
        sql = f"UPDATE {meta.db_table} SET {assignments} WHERE {meta.pk.column} = %s"
        cursor.execute(sql, [*columns.values(), row.pk])
        assert cursor.rowcount == 1


def disagree(row: models.Model, constraint: CompositeForeignKey, here: World, there: World) -> None:
    """Let row and link stand in two worlds: the row moves; where it names no tenant, the link does."""
    name, *agreed = constraint.fields
    tenant = {"environment": there[Environment].pk, "organization": organization_of(there)}
    if name == "environment":
        link(row, organization=organization_of(there))
    elif apps.get_model(constraint.to) is type(row):
        link(row, **{name: there[type(row)].pk})  # a row that moves would take itself along
    elif own := {column: value for column, value in tenant.items() if column in agreed}:
        link(row, **own, **{name: getattr(row, f"{name}_id") or here[apps.get_model(constraint.to)].pk})
    else:
        link(row, **{name: there[apps.get_model(constraint.to)].pk})


def organization_of(world: World) -> int:
    environment = world[Environment]
    assert isinstance(environment, Environment)
    return environment.organization_id


@pytest.mark.parametrize(("model", "constraint"), LINKS)
def test_link_to_another_organization_is_refused(
    model: type[models.Model], constraint: CompositeForeignKey
) -> None:
    here, there = build(make_environment()), build(make_environment())

    said = refusal(constraint, lambda: disagree(here[model], constraint, here, there))

    assert f'foreign key constraint "{constraint.name}"' in said


@pytest.mark.parametrize(("model", "constraint"), [one for one in LINKS if "environment" in agreed_by(one)])
def test_link_to_the_other_environment_is_refused(
    model: type[models.Model], constraint: CompositeForeignKey
) -> None:
    organization = make_organization()
    here, there = (build(make_environment(organization, kind)) for kind in ("qa", "production"))

    said = refusal(constraint, lambda: disagree(here[model], constraint, here, there))

    assert f'foreign key constraint "{constraint.name}"' in said


@pytest.mark.parametrize(
    ("model", "constraint"), [one for one in LINKS if any("endpoint" in name for name in agreed_by(one))]
)
def test_entity_type_of_another_endpoint_is_refused(
    model: type[models.Model], constraint: CompositeForeignKey
) -> None:
    environment = make_environment()
    here, entity = build(environment), make_endpoint(environment=environment).entity_types.get()

    said = refusal(constraint, lambda: link(here[model], **{constraint.fields[0]: entity.pk}))

    assert f'foreign key constraint "{constraint.name}"' in said


def test_every_link_between_tenants_rows_is_guarded() -> None:
    guarded = {
        f"{model.__name__}.{name}"
        for model in MODELS
        for constraint in model._meta.constraints
        if isinstance(constraint, CompositeForeignKey)
        for name in constraint.fields
    }
    links = {
        f"{model.__name__}.{field.name}"
        for model in MODELS
        for field in model._meta.concrete_fields
        if field.related_model in MODELS and not (field.name == "organization" and is_tenant(model))
    }

    assert links - guarded == set(FREE_LINKS)


def test_every_environment_is_checked_against_the_organization() -> None:
    tenants = [model for model in MODELS if "environment" in {field.name for field in model._meta.fields}]

    assert [model.__name__ for model in tenants if is_tenant(model) and not checked(model)] == []


def is_tenant(model: type[models.Model]) -> bool:
    return "organization" in {field.name for field in model._meta.fields} and model not in {Environment}


def checked(model: type[models.Model]) -> bool:
    """Whether a constraint ties environment and organization together, by itself or by a link never empty."""
    return any(
        isinstance(constraint, CompositeForeignKey)
        and {"environment", "organization"} <= set(constraint.fields)
        and not model._meta.get_field(constraint.fields[0]).null
        for constraint in model._meta.constraints
    )


def test_bulk_create_cannot_cross_either() -> None:
    here, elsewhere = make_environment(), make_endpoint()
    body = MessageBody.objects.create(organization_id=here.organization_id)
    tenant = {"environment": here, "organization_id": here.organization_id}

    with pytest.raises(IntegrityError, match="message_endpoint_same_environment"), transaction.atomic():
        Message.objects.bulk_create([Message(body=body, endpoint=elsewhere, **tenant)])


def test_organization_of_a_row_cannot_be_changed_alone() -> None:
    message, other = make_message(), make_organization()

    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(organization=other)


def test_form_says_it_in_a_sentence() -> None:
    rule, elsewhere = make_rule(), make_endpoint()
    version = RuleVersion(
        rule=rule,
        environment=rule.environment,
        organization_id=rule.organization_id,
        number=1,
        action="drop",
        source_endpoint=elsewhere,
        source_entity=elsewhere.entity_types.get(),
    )

    with pytest.raises(ValidationError) as refusal:
        version.full_clean()

    sentence = "This belongs to another organization or environment. Choose one of this environment."
    assert refusal.value.message_dict["source_endpoint"] == [sentence]


def test_link_within_the_environment_passes_validation() -> None:
    source = make_endpoint()
    target = make_endpoint(environment=source.environment)

    make_version(make_rule(source.environment), source, target).full_clean()


@pytest.mark.parametrize(("model", "field"), CHOICES)
def test_unknown_choice_is_refused(model: type[models.Model], field: Any) -> None:
    row = build(make_environment())[model]

    with pytest.raises(IntegrityError, match="violates check constraint"), transaction.atomic():
        model._base_manager.filter(pk=row.pk).update(**{field.name: "odd"})
