-- The log that strangers can check (RFC 6962, C2SP tlog-tiles): which access record is which leaf, the full tiles of
-- the tree, and the checkpoints that were signed over it. All of it is only ever added to, also by the owner. Nothing
-- here is of an organisation, and none of it tells anything about a record: a leaf is a salted commitment.
--
-- One node at a time adds leaves. It holds the lease, whose token every take-over raises; a leaf says under which token
-- it was added, and the lease's row is locked while that is checked. So whoever lost the lease adds nothing any more,
-- however long it slept, and no index is given twice or left out, whatever a program does.

CREATE TABLE audit_lease (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    node       bigint      NOT NULL,
    token      bigint      NOT NULL CHECK (token >= 1),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE  audit_lease            IS 'Which node gives access records their place in the log.';
COMMENT ON COLUMN audit_lease.only_row   IS 'Always true: there is one row.';
COMMENT ON COLUMN audit_lease.node       IS 'The node that holds it.';
COMMENT ON COLUMN audit_lease.token      IS 'One more with every take-over. What carries a lower one is refused.';
COMMENT ON COLUMN audit_lease.expires_at IS 'From when another node may take it, by this server''s clock.';
GRANT SELECT, INSERT, UPDATE (node, token, expires_at) ON audit_lease TO domicile_app;

CREATE TABLE audit_leaves (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    xid        xid8   NOT NULL,
    record_id  uuid   NOT NULL,
    entry      bytea  NOT NULL CHECK (length(entry) = 54),
    token      bigint NOT NULL,
    CONSTRAINT audit_leaves_of_record UNIQUE (xid, record_id)
);
COMMENT ON TABLE  audit_leaves            IS 'The leaves of the log, in the order (xid, record_id) of the access records. Only ever added to, also by the owner.';
COMMENT ON COLUMN audit_leaves.leaf_index IS 'Its place: 0, 1, 2 and so on without a gap.';
COMMENT ON COLUMN audit_leaves.xid        IS 'The transaction of the access record. The last leaf''s is how far the log has come.';
COMMENT ON COLUMN audit_leaves.record_id  IS 'The access record.';
COMMENT ON COLUMN audit_leaves.entry      IS 'What the leaf is a hash of: the salted commitment to the record (residency_tlog::commitment).';
COMMENT ON COLUMN audit_leaves.token      IS 'The lease under which it was added.';
GRANT SELECT, INSERT ON audit_leaves TO domicile_app;

CREATE TABLE audit_tiles (
    level    smallint NOT NULL CHECK (level BETWEEN 0 AND 6),
    number   bigint   NOT NULL CHECK (number >= 0),
    hashes   bytea    NOT NULL CHECK (length(hashes) = 8192),
    root     bytea    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, number)
);
COMMENT ON TABLE  audit_tiles        IS 'The full tiles of the log''s tree (C2SP tlog-tiles): 256 hashes each. What is not full yet follows from audit_leaves and from the roots here. Only ever added to, also by the owner.';
COMMENT ON COLUMN audit_tiles.level  IS '0: hashes of leaves. 1: roots of tiles of level 0, and so on.';
COMMENT ON COLUMN audit_tiles.number IS 'Its place on its level.';
COMMENT ON COLUMN audit_tiles.hashes IS '256 SHA-256 hashes.';
COMMENT ON COLUMN audit_tiles.root   IS 'The hash of the subtree over them: one hash of the level above.';
GRANT SELECT, INSERT ON audit_tiles TO domicile_app;

CREATE TABLE audit_checkpoints (
    size      bigint      PRIMARY KEY CHECK (size >= 1),
    root      bytea       NOT NULL CHECK (length(root) = 32),
    note      text        NOT NULL,
    token     bigint      NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE  audit_checkpoints           IS 'What was signed over the log (C2SP tlog-checkpoint). Only ever added to, also by the owner.';
COMMENT ON COLUMN audit_checkpoints.size      IS 'How many leaves.';
COMMENT ON COLUMN audit_checkpoints.root      IS 'The root hash over them.';
COMMENT ON COLUMN audit_checkpoints.note      IS 'The signed note.';
COMMENT ON COLUMN audit_checkpoints.token     IS 'The lease under which it was signed.';
COMMENT ON COLUMN audit_checkpoints.signed_at IS 'When, by this server''s clock.';
GRANT SELECT, INSERT ON audit_checkpoints TO domicile_app;

CREATE FUNCTION refuse_change_of_audit_tree() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    RAISE EXCEPTION 'the log is only ever added to'
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only', TABLE = TG_TABLE_NAME;
END
$$;
CREATE TRIGGER audit_leaves_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_tree();
CREATE TRIGGER audit_tiles_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tiles
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_tree();
CREATE TRIGGER audit_checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_tree();
-- Of the lease only the row's content changes.
CREATE TRIGGER audit_lease_stays BEFORE DELETE OR TRUNCATE ON audit_lease
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_tree();

CREATE FUNCTION keep_audit_lease() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF NEW.token < OLD.token OR (NEW.node <> OLD.node AND NEW.token = OLD.token) THEN
        RAISE EXCEPTION 'a take-over raises the token'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_lease_raised', TABLE = 'audit_lease';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_lease_raised BEFORE UPDATE ON audit_lease
    FOR EACH ROW EXECUTE FUNCTION keep_audit_lease();

-- The lock comes first, and each statement after it has a snapshot of its own: it sees what was there when the lock was
-- taken.
CREATE FUNCTION keep_audit_leaves() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
    held     bigint;
    first_of bigint;
    last_of  bigint;
    many     bigint;
    before   bigint;
BEGIN
    SELECT token INTO held FROM audit_lease FOR UPDATE;
    SELECT min(leaf_index), max(leaf_index), count(*) INTO first_of, last_of, many FROM added;
    IF many = 0 THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM added WHERE token IS DISTINCT FROM held) THEN
        RAISE EXCEPTION 'another node holds the lease'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_leaves_fenced', TABLE = 'audit_leaves';
    END IF;
    SELECT coalesce(max(leaf_index) + 1, 0) INTO before FROM audit_leaves WHERE leaf_index < first_of;
    IF first_of <> before OR last_of - first_of + 1 <> many
        OR EXISTS (SELECT FROM audit_leaves WHERE leaf_index > last_of) THEN
        RAISE EXCEPTION 'leaves follow each other'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_leaves_contiguous', TABLE = 'audit_leaves';
    END IF;
    IF EXISTS (
        SELECT FROM (
            SELECT (l.xid, l.record_id) > (lag(l.xid) OVER places, lag(l.record_id) OVER places) AS later
            FROM audit_leaves l WHERE l.leaf_index >= first_of - 1
            WINDOW places AS (ORDER BY l.leaf_index)) AS steps
        WHERE NOT later) THEN
        RAISE EXCEPTION 'leaves are in the order of their records'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_leaves_ordered', TABLE = 'audit_leaves';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_leaves_kept AFTER INSERT ON audit_leaves REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_leaves();

CREATE FUNCTION keep_audit_tiles() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added a
        WHERE (a.number > 0 AND NOT EXISTS (
                SELECT FROM audit_tiles t WHERE t.level = a.level AND t.number = a.number - 1))
            OR NOT EXISTS (
                SELECT FROM audit_leaves l
                WHERE l.leaf_index = (a.number + 1) * (256 ^ (a.level + 1))::bigint - 1)) THEN
        RAISE EXCEPTION 'tiles follow each other, and their leaves are there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_tiles_contiguous', TABLE = 'audit_tiles';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_tiles_kept AFTER INSERT ON audit_tiles REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_tiles();

CREATE FUNCTION keep_audit_checkpoint() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
    held bigint;
BEGIN
    SELECT token INTO held FROM audit_lease FOR UPDATE;
    IF NEW.token IS DISTINCT FROM held THEN
        RAISE EXCEPTION 'another node holds the lease'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_checkpoints_fenced', TABLE = 'audit_checkpoints';
    END IF;
    IF EXISTS (SELECT FROM audit_checkpoints c WHERE c.size >= NEW.size)
        OR NOT EXISTS (SELECT FROM audit_leaves l WHERE l.leaf_index = NEW.size - 1) THEN
        RAISE EXCEPTION 'a checkpoint is of more leaves than the one before, and they are there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_checkpoints_grow', TABLE = 'audit_checkpoints';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_checkpoints_kept BEFORE INSERT ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION keep_audit_checkpoint();

-- ALWAYS: also under session_replication_role = replica.
ALTER TABLE audit_leaves ENABLE ALWAYS TRIGGER audit_leaves_append_only;
ALTER TABLE audit_leaves ENABLE ALWAYS TRIGGER audit_leaves_kept;
ALTER TABLE audit_tiles ENABLE ALWAYS TRIGGER audit_tiles_append_only;
ALTER TABLE audit_tiles ENABLE ALWAYS TRIGGER audit_tiles_kept;
ALTER TABLE audit_checkpoints ENABLE ALWAYS TRIGGER audit_checkpoints_append_only;
ALTER TABLE audit_checkpoints ENABLE ALWAYS TRIGGER audit_checkpoints_kept;
ALTER TABLE audit_lease ENABLE ALWAYS TRIGGER audit_lease_stays;
ALTER TABLE audit_lease ENABLE ALWAYS TRIGGER audit_lease_raised;

-- The records of all organisations that are to become leaves. It names no organisation; the policy sequencer_see lets it,
-- and nothing else, see rows of all. Its caller gains nothing by it, since the app's role may set any organisation.
--
-- What a transaction under way may still write comes later in the order: it has a higher xid, or holds back the horizon.
-- A cursor over a sequence or a clock would skip what commits late.
--
-- Along the primary key, whatever the statistics say: a plan that gathers all that waits and sorts it would read everything
-- for every step of a log that is far behind.
CREATE FUNCTION records_to_sequence(after_xid xid8, after_id uuid, at_most bigint) RETURNS SETOF access_log
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET max_parallel_workers_per_gather = 0 AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'audit_tree', true);
    RETURN QUERY SELECT l.* FROM public.access_log l
        WHERE (l.xid, l.id) > (after_xid, after_id) AND l.xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY l.xid, l.id LIMIT at_most;
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION records_to_sequence IS 'Committed access records after a cursor that nothing can come before any more, in their order.';
REVOKE ALL ON FUNCTION records_to_sequence FROM PUBLIC;
GRANT EXECUTE ON FUNCTION records_to_sequence TO domicile_app;

CREATE FUNCTION records_waiting(after_xid xid8, after_id uuid, at_most bigint)
RETURNS TABLE (waiting bigint, since timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET max_parallel_workers_per_gather = 0 AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'audit_tree', true);
    RETURN QUERY SELECT count(*), min(w.at) FROM (
        SELECT l.at FROM public.access_log l
        WHERE (l.xid, l.id) > (after_xid, after_id) ORDER BY l.xid, l.id LIMIT at_most) AS w;
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION records_waiting IS 'How many access records come after a cursor, up to a bound, and when the oldest of them was written.';
REVOKE ALL ON FUNCTION records_waiting FROM PUBLIC;
GRANT EXECUTE ON FUNCTION records_waiting TO domicile_app;

-- Who reviews is held by a restrictive policy, which held the owner too.
ALTER POLICY org_purpose_patient_reviewer ON access_log TO domicile_app;
CREATE POLICY sequencer_see ON access_log FOR SELECT TO CURRENT_USER USING (
    nullif(current_setting('app.org_id', true), '') IS NULL
    AND current_setting('app.worker', true) = 'audit_tree');
COMMENT ON POLICY sequencer_see ON access_log IS 'What becomes leaves, of any organisation, in a transaction of none.';
