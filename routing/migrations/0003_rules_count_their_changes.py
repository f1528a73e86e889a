"""Each change of a rule or a translation table raises the revision of its environment."""

from django.db import migrations

COUNT = """
CREATE FUNCTION routing_raise_revision(environment bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO routing_revision (environment_id, number)
    SELECT id, 1 FROM oneio_environment WHERE id = environment
    ON CONFLICT (environment_id) DO UPDATE SET number = routing_revision.number + 1;
$$;
CREATE FUNCTION routing_count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM routing_raise_revision(CASE TG_OP WHEN 'DELETE' THEN OLD.environment_id ELSE NEW.environment_id END);
    RETURN NULL;
END $$;
CREATE FUNCTION routing_count_row_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM routing_raise_revision(environment_id) FROM routing_translationtable
        WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.table_id ELSE NEW.table_id END;
    RETURN NULL;
END $$;
CREATE TRIGGER routing_rule_counts AFTER INSERT OR UPDATE OR DELETE ON routing_routingrule
    FOR EACH ROW EXECUTE FUNCTION routing_count_change();
CREATE TRIGGER routing_table_counts AFTER INSERT OR UPDATE OR DELETE ON routing_translationtable
    FOR EACH ROW EXECUTE FUNCTION routing_count_change();
CREATE TRIGGER routing_table_row_counts AFTER INSERT OR UPDATE OR DELETE ON routing_translationrow
    FOR EACH ROW EXECUTE FUNCTION routing_count_row_change();
"""
UNCOUNT = """
DROP TRIGGER routing_rule_counts ON routing_routingrule;
DROP TRIGGER routing_table_counts ON routing_translationtable;
DROP TRIGGER routing_table_row_counts ON routing_translationrow;
DROP FUNCTION routing_count_change();
DROP FUNCTION routing_count_row_change();
DROP FUNCTION routing_raise_revision(bigint);
"""


class Migration(migrations.Migration):
    dependencies = [("routing", "0002_published_versions_never_change")]
    operations = [migrations.RunSQL(COUNT, UNCOUNT)]
