import re

import pytest

from routing import compiled, versions
from routing.models import Condition, Counter, Mapping, RoutingRule, TranslationRow, TranslationTable
from routing.rules import condition_trees
from tests.factories import make_endpoint, make_environment, make_rule
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/routing/routingrule/"
TABLES = "/admin/routing/translationtable/"
FORMSETS = (
    "routing-condition",
    "routing-mapping",
    "routing-mapping-2",
    "routing-mapping-3",
    "routing-attachmentmapping",
    "routing-lookup",
)


def change(rule: RoutingRule) -> str:
    return f"{LIST}{rule.pk}/change/"


def text_of(answer) -> str:
    return answer.content.decode()


def make_drafted(environment=None) -> RoutingRule:
    environment = environment or make_environment()
    source = make_endpoint("servicenow", environment, name="ServiceNow")
    target = make_endpoint("jira", environment, name="Jira")
    rule = make_rule(environment, name="Incident to Jira", slug="incident-to-jira")
    versions.save_draft(rule, source.entity_types.get(), target.entity_types.get())
    return rule


def make_published() -> RoutingRule:
    rule = make_drafted()
    versions.publish(rule, make_user(), "Agreed with the Jira team")
    rule.refresh_from_db()
    return rule


def entered(rule: RoutingRule, **fields) -> dict:
    """The rule's form as its page shows it, with `fields` changed; names of rows begin with their formset."""
    draft = versions.find_draft(rule)
    assert draft is not None
    data = {
        "name": rule.name,
        "slug": rule.slug,
        "owner": rule.owner_id or "",
        "enabled": "on",
        "source": draft.source_entity_id,
        "target": draft.target_entity_id or "",
        "action": draft.action,
        "operations": draft.operations,
        "priority": 0,
    }
    for prefix in FORMSETS:
        data |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    return data | fields


def row(prefix: str, **fields) -> dict:
    """One new row of a formset."""
    return {f"{prefix}-TOTAL_FORMS": 1, **{f"{prefix}-0-{name}": value for name, value in fields.items()}}


def test_added_rule_is_a_draft():
    environment = make_environment()
    source = make_endpoint(environment=environment).entity_types.get()
    target = make_endpoint(environment=environment).entity_types.get()
    data = {
        "name": "New", "slug": "new", "source": source.pk, "target": target.pk,
        "action": "route", "operations": ["create"], "priority": 5,
    }  # fmt: skip

    answer = signed_in("integrator", environment).post(f"{LIST}add/", data, follow=True)

    rule = RoutingRule.objects.get()
    draft = rule.versions.get()
    assert (rule.environment, draft.source_entity, draft.target_entity) == (environment, source, target)
    assert (draft.operations, draft.priority, draft.published_at) == (["create"], 5, None)
    assert "Add conditions and mappings" in text_of(answer)


def test_draft_is_saved_in_place():
    rule = make_drafted()
    condition = row(
        "routing-condition", path="priority", operator="in", value="1 - Critical; 2 - High", position=0
    )
    mapping = row("routing-mapping", source="title", kind="copy", target="summary", position=0)

    signed_in().post(change(rule), entered(rule, priority=9, **condition, **mapping))

    draft = rule.versions.get()
    assert draft.priority == 9
    assert draft.conditions.get().values == ["1 - Critical", "2 - High"]
    assert (draft.mappings.get().category, draft.mappings.get().target) == ("outbound", "summary")


def test_rows_go_to_their_category():
    rule = make_drafted()
    variable = row(
        "routing-mapping-2", kind="template", text="{{ message.number }}", target="short", position=0
    )
    kept = row("routing-mapping-3", kind="constant", text="ours", target="origin", position=0)

    signed_in().post(change(rule), entered(rule, **variable, **kept))

    found = {mapping.category: mapping for mapping in Mapping.objects.all()}
    assert found["variable"].template == "{{ message.number }}"
    assert found["conversation"].constant == "ours"


def test_mapping_keeps_all_that_was_entered():
    rule = make_drafted()
    counter = Counter.objects.create(environment=rule.environment, name="changes")
    split = row(
        "routing-mapping", kind="split", source="caller", separator=",", target="last",
        further_targets="first", formatters='[{"name": "trim"}]', only_on="create",
        missing="default", default="?", position=0,
    )  # fmt: skip
    number = row("routing-mapping-3", kind="counter", counter=counter.pk, target="number", position=0)

    signed_in().post(change(rule), entered(rule, **split, **number))

    outbound, kept = Mapping.objects.get(kind="split"), Mapping.objects.get(kind="counter")
    assert (outbound.further_targets, outbound.separator) == (["first"], ",")
    assert (outbound.formatters, outbound.only_on) == ([{"name": "trim"}], "create")
    assert (outbound.missing, outbound.default) == ("default", "?")
    assert (kept.counter, kept.formatters, kept.missing) == (counter, [], "skip")


def test_several_values_are_shown_as_they_were_entered():
    rule = make_drafted()
    Condition.objects.create(version=rule.versions.get(), path="priority", operator="in", values=["1", "2"])

    assert 'value="1; 2"' in text_of(signed_in().get(change(rule)))


def conditions(*rows: tuple, initial: int = 0, prefix: str = "routing-condition") -> dict:
    """Rows of the condition formset: indent, path, operator, value and what else was posted."""
    data = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial}
    for number, (indent, path, operator, value, *more) in enumerate(rows):
        posted = {"indent": indent, "path": path, "operator": operator, "value": value, "position": ""}
        posted |= more[0] if more else {}
        data |= {f"{prefix}-{number}-{name}": entry for name, entry in posted.items()}
    return data


def tree(rule: RoutingRule) -> dict:
    return condition_trees(rule.versions.get().conditions.all())


NESTED = (
    (0, "title", "exists", ""),
    (0, "", "any", ""),
    (1, "impact", "equals", "1"),
    (1, "", "none", ""),
    (2, "labels", "has_all", "a; b"),
    (1, "status", "changed_from_to", "; Closed"),
)


def test_indented_rows_are_nested_in_groups():
    rule = make_drafted()

    signed_in().post(change(rule), entered(rule, **conditions(*NESTED, (0, "", "equals", ""))))

    labels = compiled.Condition("labels", "has_all", values=("a", "b"))
    closed = compiled.Condition("status", "changed_from_to", values=("", "Closed"))
    impact = compiled.Condition("impact", "equals", "1")
    group = compiled.Group("any", (impact, compiled.Group("none", (labels,)), closed))
    assert tree(rule) == {None: (compiled.Condition("title", "exists"), group)}


def test_nested_rows_are_shown_as_they_were_entered():
    rule = make_drafted()
    signed_in().post(change(rule), entered(rule, **conditions(*NESTED)))

    answer = signed_in().get(change(rule))

    forms = answer.context["inline_admin_formsets"][0].formset.initial_forms
    shown = [tuple(form[name].value() or "" for name in ("path", "operator", "value")) for form in forms]
    assert [form["indent"].value() for form in forms] == [row[0] for row in NESTED]
    assert shown == [row[1:] for row in NESTED]


def test_deleted_group_leaves_what_is_taken_out_of_it():
    rule = make_drafted()
    signed_in().post(
        change(rule), entered(rule, **conditions((0, "", "any", ""), (1, "title", "exists", "")))
    )
    group, title = rule.versions.get().conditions.order_by("position")
    changed = (
        (0, "", "any", "", {"id": group.pk, "DELETE": "on"}),
        (0, "title", "exists", "", {"id": title.pk}),
    )

    signed_in().post(change(rule), entered(rule, **conditions(*changed, initial=2)))

    assert tree(rule) == {None: (compiled.Condition("title", "exists"),)}


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([(1, "title", "exists", "")], "indent"),
        ([(0, "", "any", ""), (2, "title", "exists", "")], "indent"),
        ([(0, "title", "exists", ""), (1, "impact", "exists", "")], "indent"),
        ([(0, "", "any", "")], "operator"),
        ([(0, "", "any", ""), (0, "title", "exists", "")], "operator"),
        ([(0, "", "equals", "1")], "path"),
    ],
)
def test_rows_that_form_no_tree_are_said_beside_them(rows, place):
    rule = make_drafted()

    answer = signed_in().post(change(rule), entered(rule, **conditions(*rows)))

    formset = answer.context["inline_admin_formsets"][0].formset
    assert [error for form in formset.errors for error in form] == [place]
    assert not Condition.objects.exists()


def test_conditions_are_read_as_a_sentence():
    rule = make_drafted()
    signed_in().post(change(rule), entered(rule, **conditions(*NESTED)))

    html = text_of(signed_in().get(f"{LIST}{rule.pk}/publish/"))

    words = re.sub(r"<[^>]+>", "", html)
    assert "(impact is 1 or not (labels includes all of a and b)" in words
    assert "or status changes from anything to Closed)" in words
    assert "<strong>Closed</strong>" in html


@pytest.mark.parametrize(
    ("prefix", "fields", "place"),
    [
        ("routing-condition", {"path": "priority", "operator": "equals", "value": ""}, "value"),
        ("routing-condition", {"path": "priority", "operator": "in", "value": " ; "}, "value"),
        ("routing-condition", {"path": "title", "operator": "regex", "value": "("}, "value"),
        ("routing-condition", {"path": "a[", "operator": "exists", "value": ""}, "path"),
        ("routing-mapping", {"kind": "copy", "source": "", "target": "x"}, "source"),
        ("routing-mapping", {"kind": "template", "text": "{{ broken", "target": "x"}, "text"),
        ("routing-mapping", {"kind": "translate", "source": "priority", "target": "x"}, "table"),
        ("routing-mapping-2", {"kind": "constant", "text": "1", "target": "a.b"}, "target"),
        ("routing-mapping", {"kind": "split", "source": "a", "target": "x"}, "separator"),
        ("routing-mapping", {"kind": "counter", "target": "x"}, "counter"),
        (
            "routing-mapping",
            {"kind": "copy", "source": "a", "target": "x", "formatters": '[{"name": "shout"}]'},
            "formatters",
        ),
        (
            "routing-mapping",
            {"kind": "copy", "source": "a", "target": "x", "formatters": "upper"},
            "formatters",
        ),
    ],
)
def test_row_that_cannot_run_is_said_beside_it(prefix, fields, place):
    rule = make_drafted()

    answer = signed_in().post(change(rule), entered(rule, **row(prefix, position=0, **fields)))

    formsets = [inline.formset for inline in answer.context["inline_admin_formsets"]]
    errors = [error for formset in formsets for form in formset.errors for error in form]
    assert errors == [place]
    assert not Condition.objects.exists()
    assert not Mapping.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"target": ""}, {"action": "drop"}, {"target": "source"}, {"operations": []}]
)
def test_draft_that_does_not_fit_is_refused(fields):
    rule = make_drafted()
    draft = rule.versions.get()
    if fields.get("target") == "source":
        fields = {"target": draft.source_entity_id}

    answer = signed_in().post(change(rule), entered(rule, **fields))

    assert answer.context["adminform"].form.errors.keys() <= {"target", "operations"}
    assert answer.context["adminform"].form.errors


def test_rule_cannot_cross_environments():
    environment = make_environment()
    source = make_endpoint(environment=environment).entity_types.get()
    target = make_endpoint(environment=make_environment()).entity_types.get()
    data = {
        "name": "New", "slug": "new", "source": source.pk, "target": target.pk,
        "action": "route", "operations": ["create"], "priority": 0,
    }  # fmt: skip

    answer = signed_in().post(f"{LIST}add/", data)

    assert "another environment" in text_of(answer)
    assert not RoutingRule.objects.exists()


def test_name_taken_is_said_beside_the_field():
    rule = make_drafted()
    make_rule(rule.environment, name="Taken")

    answer = signed_in().post(change(rule), entered(rule, name="Taken"))

    assert answer.context["adminform"].form.errors.keys() == {"name"}


def test_publish_asks_for_the_reason():
    rule, client = make_drafted(), signed_in()

    asked = client.post(change(rule), entered(rule, _publish=""), follow=True)
    refused = client.post(f"{LIST}{rule.pk}/publish/", {"reason": ""})
    done = client.post(f"{LIST}{rule.pk}/publish/", {"reason": "First one"}, follow=True)

    assert "Publish v1 of Incident to Jira?" in text_of(asked)
    assert "This field is required" in text_of(refused)
    assert "works from the next message on" in text_of(done)
    rule.refresh_from_db()
    assert rule.current_version is not None
    assert rule.current_version.reason == "First one"


def test_draft_that_cannot_run_is_not_published():
    rule = make_drafted()
    Mapping.objects.create(version=rule.versions.get(), kind="copy", source="", target="title")

    answer = signed_in().post(f"{LIST}{rule.pk}/publish/", {"reason": "First one"})

    assert "This version cannot be published." in text_of(answer)
    assert rule.versions.get().published_at is None


def test_published_rule_shows_what_it_does():
    rule = make_published()

    html = text_of(signed_in().get(change(rule)))

    assert "New draft from v1" in html
    assert "Agreed with the Jira team" in html
    assert "routing-condition-TOTAL_FORMS" not in html


def test_rule_without_draft_keeps_its_content_on_save():
    rule = make_published()

    signed_in().post(change(rule), {"name": "Renamed", "slug": rule.slug})

    rule.refresh_from_db()
    assert (rule.name, rule.enabled, rule.versions.count()) == ("Renamed", False, 1)


def test_life_of_a_draft():
    rule, client = make_published(), signed_in()

    client.post(f"{LIST}{rule.pk}/new-draft/")
    drafted = rule.versions.count()
    client.post(f"{LIST}{rule.pk}/discard-draft/")

    assert (drafted, rule.versions.count()) == (2, 1)


def test_earlier_version_is_made_current():
    rule, client = make_published(), signed_in()
    first = rule.current_version
    assert first is not None
    versions.draft_of(rule)
    versions.publish(rule, make_user(), "Second one")

    client.post(f"{LIST}{rule.pk}/current/{first.pk}/")

    rule.refresh_from_db()
    assert rule.current_version == first


def test_copy_gets_a_name_of_its_own():
    rule, client = make_published(), signed_in()

    client.post(f"{LIST}{rule.pk}/copy/")
    client.post(f"{LIST}{rule.pk}/copy/")

    names = set(RoutingRule.objects.values_list("name", flat=True))
    assert names == {"Incident to Jira", "Incident to Jira (copy 1)", "Incident to Jira (copy 2)"}


def test_refused_transition_is_said_in_words():
    rule = make_drafted()

    answer = signed_in().post(f"{LIST}{rule.pk}/discard-draft/", follow=True)

    assert "This draft is all there is" in text_of(answer)


@pytest.mark.parametrize("step", ["publish", "new-draft", "discard-draft", "copy"])
def test_operator_changes_no_rule(step):
    rule = make_drafted()

    assert signed_in("operator", rule.environment).post(f"{LIST}{rule.pk}/{step}/").status_code == 403


@pytest.mark.parametrize("step", ["publish", "new-draft", "discard-draft", "copy"])
def test_rule_of_others_does_not_exist(step):
    rule = make_drafted()

    assert signed_in("administrator", make_environment()).post(f"{LIST}{rule.pk}/{step}/").status_code == 404


def test_viewer_reads_the_rule():
    rule = make_published()

    html = text_of(signed_in("viewer", rule.environment).get(change(rule)))

    assert "Incident to Jira" in html
    assert "New draft" not in html
    assert 'name="_save"' not in html


@pytest.mark.parametrize(
    ("query", "shown"), [("state=on", True), ("state=off", False), ("state=draft", False)]
)
def test_rules_are_filtered_by_state(query, shown):
    make_published()

    assert ("Incident to Jira" in text_of(signed_in().get(f"{LIST}?{query}"))) is shown


def test_version_page_shows_everything():
    rule = make_drafted()
    draft = rule.versions.get()
    Condition.objects.create(version=draft, path="priority", operator="in", values=["1 - Critical"])
    Mapping.objects.create(version=draft, source="title", target="summary")

    html = text_of(signed_in().get(f"/admin/routing/ruleversion/{draft.pk}/change/"))

    assert "is one of <strong>1 - Critical</strong>" in html
    assert "summary" in html
    assert "Incident to Jira v1 (draft)" in text_of(signed_in().get("/admin/routing/ruleversion/"))


def test_table_is_saved_with_its_rows():
    environment = make_environment()
    rows = {
        "rows-TOTAL_FORMS": 1, "rows-INITIAL_FORMS": 0,
        "rows-0-source": "1 - Critical", "rows-0-target": "Highest", "rows-0-position": 0,
    }  # fmt: skip

    signed_in("integrator", environment).post(
        f"{TABLES}add/", {"name": "Priorities", "environment": environment.pk, "unmapped": "hold", **rows}
    )

    assert TranslationRow.objects.get().table.environment == environment
    assert "Priorities" in text_of(signed_in().get(TABLES))


def wide_table(**row):
    """A table of two values and one, as its form sends it, with one row."""
    named = {"name": "Triage", "unmapped": "hold", "inputs": "impact, urgency", "outputs": "priority"}
    counts = {"rows-TOTAL_FORMS": 1, "rows-INITIAL_FORMS": 0, "rows-0-position": 0}
    return {**named, **counts, **{f"rows-0-{name}": value for name, value in row.items()}}


def test_table_of_several_values_keeps_its_cells():
    environment = make_environment()
    data = wide_table(source="1 - High; *", target="P1") | {"environment": environment.pk}

    signed_in("integrator", environment).post(f"{TABLES}add/", data)

    kept = TranslationRow.objects.get()
    assert (kept.table.inputs, kept.table.outputs) == (["impact", "urgency"], ["priority"])
    assert (kept.sources, kept.targets, kept.source) == (["1 - High", "*"], ["P1"], "")
    assert 'value="1 - High; *"' in text_of(signed_in().get(f"{TABLES}{kept.table_id}/change/"))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"source": "1", "target": "P1"}, {"source": ["Write 2 values with ; between: impact; urgency."]}),
        ({"source": "1; 2", "target": "a; b"}, {"target": ["Write 1 values with ; between: priority."]}),
    ],
)
def test_row_needs_a_value_for_each_column(row, says):
    answer = signed_in().post(f"{TABLES}add/", wide_table(**row) | {"environment": make_environment().pk})

    [inline] = answer.context["inline_admin_formsets"]
    assert inline.formset.errors == [says]
    assert not TranslationTable.objects.exists()


def test_table_needs_both_sides_or_neither():
    data = wide_table(source="1; 2", target="P1") | {"environment": make_environment().pk, "outputs": ""}

    answer = signed_in().post(f"{TABLES}add/", data)

    assert "outputs" in answer.context["adminform"].form.errors


def test_used_table_keeps_its_columns():
    version = make_drafted().versions.get()
    table = TranslationTable.objects.create(environment=version.environment, name="Priorities")
    Mapping.objects.create(version=version, kind="translate", source="a", target="b", table=table)

    answer = signed_in().post(f"{TABLES}{table.pk}/change/", wide_table(source="1; 2", target="P1"))

    assert answer.context["adminform"].form.errors.keys() == {"inputs", "outputs"}


def test_used_default_must_be_given():
    data = {"name": "P", "environment": make_environment().pk, "unmapped": "default"}
    data |= {"rows-TOTAL_FORMS": 0, "rows-INITIAL_FORMS": 0}

    answer = signed_in().post(f"{TABLES}add/", data)

    assert answer.context["adminform"].form.errors.keys() == {"default"}


def test_table_name_taken_is_said_beside_the_field():
    environment = make_environment()
    TranslationTable.objects.create(environment=environment, name="Taken")
    data = {"name": "Taken", "environment": environment.pk, "unmapped": "hold"}
    data |= {"rows-TOTAL_FORMS": 0, "rows-INITIAL_FORMS": 0}

    answer = signed_in().post(f"{TABLES}add/", data)

    assert answer.context["adminform"].form.errors == {
        "name": ["Another table of this environment has this name. Choose a different one."]
    }


def test_mapping_offers_tables_of_its_environment_only():
    rule = make_drafted()
    TranslationTable.objects.create(environment=rule.environment, name="Our priorities")
    TranslationTable.objects.create(environment=make_environment(), name="Their priorities")

    html = text_of(signed_in().get(change(rule)))

    assert "Our priorities" in html
    assert "Their priorities" not in html


def test_published_rule_in_production_keeps_somebody_as_owner():
    rule = make_published()
    versions.draft_of(rule)

    answer = signed_in().post(change(rule), entered(rule, owner=""))

    assert "a rule needs an owner" in answer.context["adminform"].form.errors["owner"][0]
