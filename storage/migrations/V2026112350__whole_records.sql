-- Access records that say all that an auditor asks for (IHE ITI BasicAudit, NIST SP 800-66r2 5.3.2), and that a leaf of
-- the region's log can commit to.

ALTER TABLE access_log
    ADD COLUMN on_behalf_kind text  CHECK (on_behalf_kind IN ('organisation', 'patient')),
    ADD COLUMN on_behalf_of   uuid,
    ADD COLUMN category       text,
    ADD COLUMN query_mac      bytea CHECK (length(query_mac) = 32),
    ADD COLUMN rules          text[] CHECK (cardinality(rules) <= 16),
    ADD COLUMN client_ip      inet,
    ADD COLUMN device_id      uuid,
    ADD COLUMN home           text,
    ADD COLUMN service_jurisdiction text,
    ADD CONSTRAINT access_log_on_behalf_whole CHECK ((on_behalf_kind IS NULL) = (on_behalf_of IS NULL));
-- The default is for what nodes of the last release write. It is another for every row, so that what is there already
-- is written anew: a log of millions of rows takes its minutes, in which nothing is recorded and so nothing disclosed.
ALTER TABLE access_log ADD COLUMN salt bytea NOT NULL CHECK (length(salt) = 32)
    DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

COMMENT ON COLUMN access_log.id             IS 'Id of the record. A UUIDv7 of `at`, so that ids are in the order of time; before version 2026112350 random.';
COMMENT ON COLUMN access_log.on_behalf_kind IS 'For whom the caller acted, if not for their own organisation or themselves: an organisation, or a patient whose representative they are.';
COMMENT ON COLUMN access_log.on_behalf_of   IS 'Which one.';
COMMENT ON COLUMN access_log.category       IS 'The legal category of what was asked for.';
COMMENT ON COLUMN access_log.query_mac      IS 'Of a search or a list: HMAC-SHA-256 under the region''s secret of organisation, act and what was asked. Two of the same are the same question; which one is not in the log.';
COMMENT ON COLUMN access_log.rules          IS 'The policies that decided, by their stable ids. None of a refusal that no policy permits.';
COMMENT ON COLUMN access_log.client_ip      IS 'The address that the request came from: what TCP says at this node''s own door, or at that of the router that forwarded it. It may be a patient''s.';
COMMENT ON COLUMN access_log.device_id      IS 'The device that the request showed, if it is known as the caller''s and admitted.';
COMMENT ON COLUMN access_log.home           IS 'Where the record rests.';
COMMENT ON COLUMN access_log.service_jurisdiction IS 'Where the patient was at the visit, where that was asked.';
COMMENT ON COLUMN access_log.salt           IS 'Random. The leaf is a hash of it and of the record''s canonical bytes (storage/src/canonical.rs), so that a leaf tells nothing of its record.';

ALTER TABLE access_log DROP CONSTRAINT access_log_action_check;
ALTER TABLE access_log ADD CONSTRAINT access_log_action_check CHECK (action IN (
    'create', 'read', 'update', 'delete', 'search', 'list', 'export', 'print', 'sign-in', 'policy', 'key'));

-- For the way back. Records of what only this version knows stay, and are not held against what the one before knew.
CREATE FUNCTION narrow_actions() RETURNS void LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    ALTER TABLE access_log DROP CONSTRAINT access_log_action_check;
    BEGIN
        ALTER TABLE access_log ADD CONSTRAINT access_log_action_check
            CHECK (action IN ('create', 'read', 'update', 'delete', 'search', 'list'));
    EXCEPTION WHEN check_violation THEN
        ALTER TABLE access_log ADD CONSTRAINT access_log_action_check
            CHECK (action IN ('create', 'read', 'update', 'delete', 'search', 'list')) NOT VALID;
    END;
END
$$;
COMMENT ON FUNCTION narrow_actions IS 'Holds new records to the actions of the version before.';
REVOKE ALL ON FUNCTION narrow_actions FROM PUBLIC;

-- What an auditor pages through: an organisation's records of a time, the last first. Every other filter but the
-- patient's, which has its own index, goes along this one within at most 31 days: an index for each would make every
-- record dearer, and there are a thousand records for each question.
CREATE INDEX access_log_latest_of_org ON access_log (org_id, at DESC, id DESC);
-- Where nothing was counted yet, both cost the same to the planner, and it takes the newest: the patient's, so that a
-- question about one patient does not go through what was done to all.
DROP INDEX access_log_latest_of_patient;
CREATE INDEX access_log_latest_of_patient ON access_log (org_id, patient_id, at DESC, id DESC);

-- Like record_accesses_under, which nodes of the last release still call. The rules of a record come in one text, a space
-- between them, since arrays of arrays have no rows of different lengths. The home is that of all of them.
CREATE FUNCTION record_accesses_whole(ids uuid[], ats timestamptz[], orgs uuid[], keys uuid[], users uuid[], roles text[],
    purposes text[], acts text[], requests uuid[], accessors text[], ingresses text[], epochs bigint[], actions text[],
    entities text[], entity_ids uuid[], patients uuid[], outcomes text[], grants uuid[], salts bytea[],
    on_behalf_kinds text[], on_behalf_ofs uuid[], categories text[], query_macs bytea[], rule_ids text[],
    client_ips inet[], devices uuid[], services text[], home text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.access_log (id, at, org_id, key_id, user_id, role, purpose, act, request_id, accessor, ingress,
        home_epoch, action, entity, entity_id, patient_id, outcome, grant_id, salt, on_behalf_kind, on_behalf_of,
        category, query_mac, rules, client_ip, device_id, service_jurisdiction,
        home)
    SELECT r.id, r.at, r.org_id, r.key_id, r.user_id, r.role, r.purpose, r.act, r.request_id, r.accessor, r.ingress,
        r.home_epoch, r.action, r.entity, r.entity_id, r.patient_id, r.outcome, r.grant_id, r.salt, r.on_behalf_kind,
        r.on_behalf_of, r.category, r.query_mac, string_to_array(r.rule_ids, ' '), r.client_ip, r.device_id, r.service,
        record_accesses_whole.home
    FROM unnest(ids, ats, orgs, keys, users, roles, purposes, acts, requests, accessors, ingresses, epochs, actions,
        entities, entity_ids, patients, outcomes, grants, salts, on_behalf_kinds, on_behalf_ofs, categories, query_macs,
        rule_ids, client_ips, devices, services)
        AS r (id, at, org_id, key_id, user_id, role, purpose, act, request_id, accessor, ingress, home_epoch, action,
            entity, entity_id, patient_id, outcome, grant_id, salt, on_behalf_kind, on_behalf_of, category, query_mac,
            rule_ids, client_ip, device_id, service);
END
$$;
COMMENT ON FUNCTION record_accesses_whole IS 'Adds access records of several requests to the log, each with all that is known of it.';
REVOKE ALL ON FUNCTION record_accesses_whole FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_accesses_whole TO domicile_app;
