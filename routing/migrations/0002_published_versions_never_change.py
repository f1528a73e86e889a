"""A published version, its conditions and its mappings are frozen by triggers."""

from django.db import migrations

FREEZE_VERSION = """
CREATE FUNCTION routing_refuse_published_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.published_at IS NULL THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'published_by_id' = to_jsonb(OLD) - 'published_by_id' THEN
        RETURN NEW;  -- the account of whoever published it may be deleted
    END IF;
    RAISE EXCEPTION 'Version % of rule % is published and cannot be changed. Make a new draft.', OLD.number, OLD.rule_id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER routing_version_is_frozen BEFORE UPDATE OR DELETE ON routing_ruleversion
    FOR EACH ROW EXECUTE FUNCTION routing_refuse_published_version();
"""
FREEZE_ROWS = """
CREATE FUNCTION routing_refuse_published_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM routing_ruleversion
        WHERE published_at IS NOT NULL
        AND (TG_OP <> 'INSERT' AND id = OLD.version_id OR TG_OP <> 'DELETE' AND id = NEW.version_id)
    ) THEN
        RAISE EXCEPTION 'The version of this row is published and cannot be changed. Make a new draft.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER routing_condition_is_frozen BEFORE INSERT OR UPDATE OR DELETE ON routing_condition
    FOR EACH ROW EXECUTE FUNCTION routing_refuse_published_rows();
CREATE TRIGGER routing_mapping_is_frozen BEFORE INSERT OR UPDATE OR DELETE ON routing_mapping
    FOR EACH ROW EXECUTE FUNCTION routing_refuse_published_rows();
"""
THAW = """
DROP TRIGGER routing_version_is_frozen ON routing_ruleversion;
DROP TRIGGER routing_condition_is_frozen ON routing_condition;
DROP TRIGGER routing_mapping_is_frozen ON routing_mapping;
DROP FUNCTION routing_refuse_published_version();
DROP FUNCTION routing_refuse_published_rows();
"""


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_initial")]
    operations = [migrations.RunSQL(FREEZE_VERSION + FREEZE_ROWS, THAW)]
