-- What is written beside every change: the access log, stored answers, events.

CREATE TABLE access_log (
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    id           uuid        NOT NULL,
    at           timestamptz NOT NULL,
    org_id       uuid        NOT NULL,
    key_id       uuid        NOT NULL,
    role         text        NOT NULL,
    purpose      text        NOT NULL CHECK (purpose <> ''),
    act          text        NOT NULL,
    action       text        NOT NULL CHECK (action IN ('create', 'read', 'update', 'delete', 'search', 'list')),
    entity       text        NOT NULL,
    entity_id    uuid,
    patient_id   uuid,
    outcome      text        NOT NULL CHECK (outcome IN ('done', 'not-found', 'refused')),
    request_id   uuid        NOT NULL,
    accessor     text,
    ingress      text,
    home_epoch   bigint,
    PRIMARY KEY (xid, id)
);
COMMENT ON TABLE  access_log            IS 'Who did what to whose record (45 CFR 164.312(b)), written in the transaction that did it. Only ever added to, also by the owner.';
COMMENT ON COLUMN access_log.xid        IS 'The transaction. A reader that follows the log reads up to pg_snapshot_xmin(pg_current_snapshot()): a cursor over a sequence would skip rows that commit late.';
COMMENT ON COLUMN access_log.id         IS 'Random id of the record.';
COMMENT ON COLUMN access_log.at         IS 'When.';
COMMENT ON COLUMN access_log.org_id     IS 'The organisation that acted.';
COMMENT ON COLUMN access_log.key_id     IS 'The credential that was used.';
COMMENT ON COLUMN access_log.role       IS 'The caller''s role.';
COMMENT ON COLUMN access_log.purpose    IS 'Why, as an HL7 v3-ActReason code.';
COMMENT ON COLUMN access_log.act        IS 'The transaction''s name in the program.';
COMMENT ON COLUMN access_log.action     IS 'What was done.';
COMMENT ON COLUMN access_log.entity     IS 'To what kind of record.';
COMMENT ON COLUMN access_log.entity_id  IS 'To which record.';
COMMENT ON COLUMN access_log.patient_id IS 'Whose record.';
COMMENT ON COLUMN access_log.outcome    IS 'How it ended.';
COMMENT ON COLUMN access_log.request_id IS 'The request.';
COMMENT ON COLUMN access_log.accessor   IS 'Where the caller said they are.';
COMMENT ON COLUMN access_log.ingress    IS 'Where the bytes entered, as the router''s certificate says.';
COMMENT ON COLUMN access_log.home_epoch IS 'The epoch that the transaction was fenced at.';
CREATE INDEX access_log_by_patient ON access_log (org_id, patient_id, at);
GRANT SELECT, INSERT ON access_log TO domicile_app;

CREATE FUNCTION refuse_change_of_log() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    RAISE EXCEPTION 'the access log is only ever added to'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'access_log_append_only', TABLE = 'access_log';
END
$$;
-- Statement triggers: a row trigger would not fire for rows that row-level security hides, nor for TRUNCATE.
CREATE TRIGGER access_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();
-- ALWAYS: also under session_replication_role = replica.
ALTER TABLE access_log ENABLE ALWAYS TRIGGER access_log_append_only;

CREATE TABLE idempotency_records (
    org_id        uuid        NOT NULL,
    attempt_mac   bytea       NOT NULL CHECK (length(attempt_mac) = 32),
    id            uuid        NOT NULL,
    fingerprint   bytea       NOT NULL CHECK (length(fingerprint) = 32),
    patient_id    uuid,
    category      text        NOT NULL,
    status        smallint    NOT NULL,
    header_names  text[]      NOT NULL,
    header_values text[]      NOT NULL,
    body_sealed   bytea,
    answer_gone   boolean     NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, attempt_mac),
    CONSTRAINT idempotency_records_gone_is_empty CHECK (answer_gone = (body_sealed IS NULL))
);
COMMENT ON TABLE  idempotency_records               IS 'Stored answers, so that a repeated POST has one effect. Written in the transaction that has the effect.';
COMMENT ON COLUMN idempotency_records.org_id        IS 'The organisation that asked.';
COMMENT ON COLUMN idempotency_records.attempt_mac   IS 'Keyed hash of credential, route and idempotency key.';
COMMENT ON COLUMN idempotency_records.id            IS 'Random id, to which the body is bound.';
COMMENT ON COLUMN idempotency_records.fingerprint   IS 'Keyed hash of the request: the same key with another request is refused.';
COMMENT ON COLUMN idempotency_records.patient_id    IS 'Whose data key seals the body; none: the region''s.';
COMMENT ON COLUMN idempotency_records.category      IS 'The category of the data key.';
COMMENT ON COLUMN idempotency_records.status        IS 'The HTTP status that was answered.';
COMMENT ON COLUMN idempotency_records.header_names  IS 'The names of the headers that were answered.';
COMMENT ON COLUMN idempotency_records.header_values IS 'Their values: ids, versions, paths.';
COMMENT ON COLUMN idempotency_records.body_sealed   IS 'The body that was answered. Null once the answer is gone.';
COMMENT ON COLUMN idempotency_records.answer_gone   IS 'Whether the record that was answered with was removed: it is not answered with again.';
COMMENT ON COLUMN idempotency_records.created_at    IS 'When it was answered.';
CREATE INDEX idempotency_records_by_age ON idempotency_records (created_at);
CREATE INDEX idempotency_records_by_patient ON idempotency_records (patient_id);
GRANT SELECT, INSERT, DELETE, UPDATE (answer_gone, body_sealed, header_names, header_values) ON idempotency_records TO domicile_app;

-- Deletes old answers of all organisations, some at a time. It names no organisation; the policy purge_old lets it see
-- and delete what is older than 72 hours, and nothing else.
CREATE FUNCTION purge_answers(before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
    deleted bigint;
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.purge_before', before::text, true);
    DELETE FROM idempotency_records WHERE (org_id, attempt_mac) IN (
        SELECT org_id, attempt_mac FROM idempotency_records WHERE created_at < before
        ORDER BY created_at LIMIT at_most);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM set_config('app.purge_before', '', true);
    RETURN deleted;
END
$$;

CREATE TABLE outbox (
    xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    id         uuid        NOT NULL,
    org_id     uuid        NOT NULL,
    name       text        NOT NULL,
    version    smallint    NOT NULL,
    patient_id uuid,
    entity_id  uuid        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (xid, id)
);
COMMENT ON TABLE  outbox            IS 'Events, written in the transaction that causes them. Ids and names only.';
COMMENT ON COLUMN outbox.xid        IS 'The transaction; read it as access_log.xid.';
COMMENT ON COLUMN outbox.id         IS 'Random id of the event: handlers do each once.';
COMMENT ON COLUMN outbox.org_id     IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN outbox.name       IS 'What happened, such as patient.created.';
COMMENT ON COLUMN outbox.version    IS 'The version of the event''s shape.';
COMMENT ON COLUMN outbox.patient_id IS 'Whose record, if anyone''s.';
COMMENT ON COLUMN outbox.entity_id  IS 'Which record.';
COMMENT ON COLUMN outbox.at         IS 'When.';
CREATE INDEX outbox_by_org ON outbox (org_id, xid);
GRANT SELECT, INSERT ON outbox TO domicile_app;
