-- Break-glass: access in an emergency, for an hour, that is told to the privacy officer and looked at afterwards
-- (45 CFR 164.312(a)(2)(ii); 42 CFR 2.51).

CREATE TABLE break_glass_grants (
    id              uuid        PRIMARY KEY,
    patient_id      uuid        NOT NULL REFERENCES patients (id),
    org_id          uuid        NOT NULL,
    key_id          uuid        NOT NULL,
    user_id         uuid,
    role            text        NOT NULL,
    purpose         text        NOT NULL CHECK (purpose IN ('ETREAT', 'BTG')),
    categories      text[]      NOT NULL CHECK (
        cardinality(categories) BETWEEN 1 AND 5
        AND categories <@ ARRAY['general', 'psychotherapy-notes', 'substance-use', 'reproductive', 'minor-sensitive']),
    reason_code     text        NOT NULL CHECK (reason_code IN ('medical-emergency', 'patient-unable-to-consent', 'threat-to-life', 'other')),
    reason_sealed   bytea       NOT NULL,
    granted_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL CHECK (expires_at > granted_at AND expires_at <= granted_at + interval '60 minutes'),
    reviewed_at     timestamptz,
    reviewed_by     uuid,
    verdict         text        CHECK (verdict IN ('justified', 'not-justified')),
    review_sealed   bytea,
    CONSTRAINT break_glass_reviewed_whole CHECK (
        (reviewed_at IS NULL) = (reviewed_by IS NULL)
        AND (reviewed_at IS NULL) = (verdict IS NULL)
        AND (reviewed_at IS NOT NULL OR review_sealed IS NULL)),
    CONSTRAINT break_glass_not_reviewed_by_oneself CHECK (reviewed_by <> key_id)
);
COMMENT ON TABLE  break_glass_grants               IS 'Who broke the glass for whom, why, and what the privacy officer says of it. The queue of reviews is what has no verdict.';
COMMENT ON COLUMN break_glass_grants.id            IS 'Random id; access records under it carry it.';
COMMENT ON COLUMN break_glass_grants.patient_id    IS 'For whose records.';
COMMENT ON COLUMN break_glass_grants.org_id        IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN break_glass_grants.key_id        IS 'The session or key that it is given to, and to no other.';
COMMENT ON COLUMN break_glass_grants.user_id       IS 'Whose that is; null where it is no person''s.';
COMMENT ON COLUMN break_glass_grants.role          IS 'In which role.';
COMMENT ON COLUMN break_glass_grants.purpose       IS 'For which purpose: ETREAT or BTG.';
COMMENT ON COLUMN break_glass_grants.categories    IS 'Which legal categories it opens.';
COMMENT ON COLUMN break_glass_grants.reason_code   IS 'Why, as a code.';
COMMENT ON COLUMN break_glass_grants.reason_sealed IS 'Why, in words.';
COMMENT ON COLUMN break_glass_grants.granted_at    IS 'From when.';
COMMENT ON COLUMN break_glass_grants.expires_at    IS 'Until when, not included.';
COMMENT ON COLUMN break_glass_grants.reviewed_at   IS 'When it was reviewed.';
COMMENT ON COLUMN break_glass_grants.reviewed_by   IS 'The credential that reviewed it.';
COMMENT ON COLUMN break_glass_grants.verdict       IS 'What was found.';
COMMENT ON COLUMN break_glass_grants.review_sealed IS 'What was found, in words.';
CREATE INDEX break_glass_by_patient ON break_glass_grants (org_id, patient_id, key_id, expires_at);
CREATE INDEX break_glass_by_time ON break_glass_grants (org_id, granted_at DESC, id DESC);
GRANT SELECT, INSERT, UPDATE (reviewed_at, reviewed_by, verdict, review_sealed) ON break_glass_grants TO domicile_app;

CREATE FUNCTION keep_break_glass() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF OLD.reviewed_at IS NOT NULL OR NEW.reviewed_at IS NULL
        OR (NEW.id, NEW.patient_id, NEW.org_id, NEW.key_id, NEW.user_id, NEW.role, NEW.purpose, NEW.categories,
            NEW.reason_code, NEW.reason_sealed, NEW.granted_at, NEW.expires_at)
        IS DISTINCT FROM
           (OLD.id, OLD.patient_id, OLD.org_id, OLD.key_id, OLD.user_id, OLD.role, OLD.purpose, OLD.categories,
            OLD.reason_code, OLD.reason_sealed, OLD.granted_at, OLD.expires_at) THEN
        RAISE EXCEPTION 'a grant is reviewed once, and nothing else of it changes'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'break_glass_append_only', TABLE = 'break_glass_grants';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER break_glass_append_only BEFORE UPDATE ON break_glass_grants
    FOR EACH ROW EXECUTE FUNCTION keep_break_glass();

ALTER TABLE break_glass_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE break_glass_grants FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT * FROM (VALUES
            ('org_purpose_patient_asker', 'INSERT', 'WITH CHECK', '{provider}'),
            ('org_purpose_patient_reader', 'SELECT', 'USING', '{provider,org_admin,auditor}'),
            ('org_purpose_patient_reviewer', 'UPDATE', 'USING', '{org_admin,auditor}')
        ) AS t (name, command, word, roles)
    LOOP
        EXECUTE format($policy$
            CREATE POLICY %I ON break_glass_grants FOR %s %s (
                org_id = nullif(current_setting('app.org_id', true), '')::uuid
                AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
                AND CASE nullif(current_setting('app.patient_id', true), '')
                    WHEN 'any' THEN true
                    ELSE patient_id = nullif(current_setting('app.patient_id', true), '')::uuid
                    END
                AND current_setting('app.role', true) = ANY (%L::text[]))
        $policy$, one.name, one.command, one.word, one.roles);
        EXECUTE format('COMMENT ON POLICY %I ON break_glass_grants IS %L', one.name,
            'Own organisation, a purpose, the patient of the transaction, and a role that may.');
    END LOOP;
END
$$;

-- What was done under a grant is marked with it.
ALTER TABLE access_log ADD COLUMN grant_id uuid;
COMMENT ON COLUMN access_log.grant_id IS 'The break-glass grant under which it was done; null where there was none.';

-- Like record_accesses, which nodes of the last release still call.
CREATE FUNCTION record_accesses_under(ids uuid[], ats timestamptz[], orgs uuid[], keys uuid[], users uuid[], roles text[],
    purposes text[], acts text[], requests uuid[], accessors text[], ingresses text[], epochs bigint[], actions text[],
    entities text[], entity_ids uuid[], patients uuid[], outcomes text[], grants uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.access_log (id, at, org_id, key_id, user_id, role, purpose, act, request_id, accessor, ingress,
        home_epoch, action, entity, entity_id, patient_id, outcome, grant_id)
    SELECT * FROM unnest(ids, ats, orgs, keys, users, roles, purposes, acts, requests, accessors, ingresses, epochs,
        actions, entities, entity_ids, patients, outcomes, grants);
END
$$;
COMMENT ON FUNCTION record_accesses_under IS 'Adds access records of several requests to the log, each with the grant that it was under.';
REVOKE ALL ON FUNCTION record_accesses_under FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_accesses_under TO domicile_app;
