DROP FUNCTION record_accesses;
DROP POLICY recorded_together ON access_log;

COMMENT ON TABLE  access_log     IS 'Who did what to whose record (45 CFR 164.312(b)), written in the transaction that did it. Only ever added to, also by the owner.';
COMMENT ON COLUMN access_log.xid IS 'The transaction. A reader that follows the log reads up to pg_snapshot_xmin(pg_current_snapshot()): a cursor over a sequence would skip rows that commit late.';
