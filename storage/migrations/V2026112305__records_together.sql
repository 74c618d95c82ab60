-- The access records of many reads in one statement and one commit. They are of several organisations, so no setting of
-- a transaction fits them all: the function inserts them with the rights of the tables' owner. Its caller gains nothing
-- by it, since the app's role may set any organisation; and it can do nothing but add to the log.

CREATE FUNCTION record_accesses(ids uuid[], ats timestamptz[], orgs uuid[], keys uuid[], users uuid[], roles text[],
    purposes text[], acts text[], requests uuid[], accessors text[], ingresses text[], epochs bigint[], actions text[],
    entities text[], entity_ids uuid[], patients uuid[], outcomes text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.access_log (id, at, org_id, key_id, user_id, role, purpose, act, request_id, accessor, ingress,
        home_epoch, action, entity, entity_id, patient_id, outcome)
    SELECT * FROM unnest(ids, ats, orgs, keys, users, roles, purposes, acts, requests, accessors, ingresses, epochs,
        actions, entities, entity_ids, patients, outcomes);
END
$$;
COMMENT ON FUNCTION record_accesses IS 'Adds access records of several requests to the log.';
REVOKE ALL ON FUNCTION record_accesses FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_accesses TO domicile_app;

-- Row-level security is forced, so the owner needs a policy too. For INSERT alone: nobody sees more by it.
CREATE POLICY recorded_together ON access_log FOR INSERT TO CURRENT_USER WITH CHECK (purpose <> '');
COMMENT ON POLICY recorded_together ON access_log IS 'What record_accesses adds, of any organisation.';

COMMENT ON TABLE  access_log     IS 'Who did what to whose record (45 CFR 164.312(b)): a change, in the transaction that made it; what was looked at, in a transaction that was durable before it was disclosed. Only ever added to, also by the owner.';
COMMENT ON COLUMN access_log.xid IS 'The transaction that wrote the record. A reader that follows the log reads up to pg_snapshot_xmin(pg_current_snapshot()): a cursor over a sequence would skip rows that commit late.';
