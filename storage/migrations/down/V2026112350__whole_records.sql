DROP FUNCTION record_accesses_whole;
DROP INDEX access_log_latest_of_org;
ALTER TABLE access_log DROP CONSTRAINT access_log_action_check;
-- Records of what only the later version does stay, and are not held against what the earlier one knows.
DO $$
BEGIN
    ALTER TABLE access_log ADD CONSTRAINT access_log_action_check
        CHECK (action IN ('create', 'read', 'update', 'delete', 'search', 'list'));
EXCEPTION WHEN check_violation THEN
    ALTER TABLE access_log ADD CONSTRAINT access_log_action_check
        CHECK (action IN ('create', 'read', 'update', 'delete', 'search', 'list')) NOT VALID;
END
$$;
ALTER TABLE access_log
    DROP COLUMN salt,
    DROP COLUMN service_jurisdiction,
    DROP COLUMN home,
    DROP COLUMN device_id,
    DROP COLUMN client_ip,
    DROP COLUMN rules,
    DROP COLUMN query_mac,
    DROP COLUMN category,
    DROP CONSTRAINT access_log_on_behalf_whole,
    DROP COLUMN on_behalf_of,
    DROP COLUMN on_behalf_kind;

COMMENT ON COLUMN access_log.id IS 'Random id of the record.';
