DROP FUNCTION record_accesses_whole;
DROP INDEX access_log_latest_of_org;
SELECT narrow_actions();
DROP FUNCTION narrow_actions;
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
