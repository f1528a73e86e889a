"""Whoever switches a rule or lets another version count, the database notes from which revision on."""

from django.db import migrations

NOTE = """
CREATE FUNCTION routing_note_rule_in_force() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO routing_ruleinforce (organization_id, environment_id, rule_id, version_id, revision)
    SELECT NEW.organization_id, NEW.environment_id, NEW.id,
           CASE WHEN NEW.enabled THEN NEW.current_version_id END, number
    FROM routing_revision WHERE environment_id = NEW.environment_id;
    RETURN NULL;
END $$;
-- Triggers fire in the order of their names: the revision is counted before it is noted.
CREATE TRIGGER routing_rule_new_in_force AFTER INSERT ON routing_routingrule
    FOR EACH ROW EXECUTE FUNCTION routing_note_rule_in_force();
CREATE TRIGGER routing_rule_set_in_force AFTER UPDATE ON routing_routingrule FOR EACH ROW
    WHEN ((OLD.enabled, OLD.current_version_id) IS DISTINCT FROM (NEW.enabled, NEW.current_version_id))
    EXECUTE FUNCTION routing_note_rule_in_force();
INSERT INTO routing_ruleinforce (organization_id, environment_id, rule_id, version_id, revision)
SELECT organization_id, environment_id, id, CASE WHEN enabled THEN current_version_id END, 0
FROM routing_routingrule;
"""
UNNOTE = """
DROP TRIGGER routing_rule_new_in_force ON routing_routingrule;
DROP TRIGGER routing_rule_set_in_force ON routing_routingrule;
DROP FUNCTION routing_note_rule_in_force();
"""


class Migration(migrations.Migration):
    dependencies = [("routing", "0007_rules_in_force")]
    operations = [migrations.RunSQL(NOTE, UNNOTE)]
