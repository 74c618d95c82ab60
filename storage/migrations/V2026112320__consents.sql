-- The ledger of consents: what a patient allowed whom, for what, of which category, and what they took back. Only ever
-- added to: a consent is revoked once, and nothing else of it changes.

-- The order of all words. A clock would do only if every node's were the same.
CREATE SEQUENCE consent_words;
GRANT USAGE ON SEQUENCE consent_words TO domicile_app;

CREATE TABLE consents (
    id                       uuid        PRIMARY KEY,
    patient_id               uuid        NOT NULL REFERENCES patients (id),
    org_id                   uuid        NOT NULL,
    grantee_org_id           uuid        NOT NULL,
    purpose                  text        NOT NULL CHECK (purpose ~ '^[A-Z]{3,10}$'),
    category                 text        NOT NULL CHECK (category IN ('general', 'psychotherapy-notes', 'substance-use', 'reproductive', 'minor-sensitive')),
    evidence                 text        NOT NULL CHECK (evidence IN ('signature', 'verbal', 'import')),
    reference_sealed         bytea,
    text_version             text        NOT NULL CHECK (text_version ~ '^[a-z0-9-]{1,63}$'),
    locale                   text        NOT NULL CHECK (locale ~ '^[A-Za-z0-9-]{2,35}$'),
    granted_at               timestamptz NOT NULL,
    expires_at               timestamptz CHECK (expires_at > granted_at),
    recorded_at              timestamptz NOT NULL,
    recorded_by              uuid        NOT NULL,
    granted_word             bigint      NOT NULL DEFAULT nextval('consent_words'),
    revoked_at               timestamptz,
    revoked_by               uuid,
    revoked_word             bigint,
    revoked_evidence         text        CHECK (revoked_evidence IN ('signature', 'verbal', 'import')),
    revoked_reference_sealed bytea,
    CONSTRAINT consents_revoked_whole CHECK (
        (revoked_at IS NULL) = (revoked_by IS NULL)
        AND (revoked_at IS NULL) = (revoked_word IS NULL)
        AND (revoked_at IS NULL) = (revoked_evidence IS NULL)
        AND (revoked_at IS NOT NULL OR revoked_reference_sealed IS NULL))
);
COMMENT ON TABLE  consents                          IS 'What a patient allowed an organisation to do with their PHI, and took back (45 CFR 164.508; 42 CFR 2.31).';
COMMENT ON COLUMN consents.id                       IS 'Random id.';
COMMENT ON COLUMN consents.patient_id               IS 'Whose consent.';
COMMENT ON COLUMN consents.org_id                   IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN consents.grantee_org_id           IS 'The organisation that is allowed it.';
COMMENT ON COLUMN consents.purpose                  IS 'For what, as an HL7 v3-ActReason code.';
COMMENT ON COLUMN consents.category                 IS 'The legal category of the PHI that it is about.';
COMMENT ON COLUMN consents.evidence                 IS 'How it was given.';
COMMENT ON COLUMN consents.reference_sealed         IS 'Where the evidence is found, in words.';
COMMENT ON COLUMN consents.text_version             IS 'Which version of the text was agreed to.';
COMMENT ON COLUMN consents.locale                   IS 'In which language, as a BCP 47 tag.';
COMMENT ON COLUMN consents.granted_at               IS 'When it was given.';
COMMENT ON COLUMN consents.expires_at               IS 'From when it no longer holds; null: until it is revoked.';
COMMENT ON COLUMN consents.recorded_at              IS 'When it was entered here.';
COMMENT ON COLUMN consents.recorded_by              IS 'The credential that entered it.';
COMMENT ON COLUMN consents.granted_word             IS 'Its place among all words: of two about the same, the later one counts.';
COMMENT ON COLUMN consents.revoked_at               IS 'When its revocation was entered, from which moment it no longer holds.';
COMMENT ON COLUMN consents.revoked_by               IS 'The credential that entered the revocation.';
COMMENT ON COLUMN consents.revoked_word             IS 'The revocation''s place among all words.';
COMMENT ON COLUMN consents.revoked_evidence         IS 'How it was revoked.';
COMMENT ON COLUMN consents.revoked_reference_sealed IS 'Where the evidence of that is found, in words.';
CREATE INDEX consents_by_patient ON consents (org_id, patient_id, recorded_at DESC, id DESC);
GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by, revoked_word, revoked_evidence, revoked_reference_sealed)
    ON consents TO domicile_app;

CREATE FUNCTION keep_consent() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL
        OR (NEW.id, NEW.patient_id, NEW.org_id, NEW.grantee_org_id, NEW.purpose, NEW.category, NEW.evidence,
            NEW.reference_sealed, NEW.text_version, NEW.locale, NEW.granted_at, NEW.expires_at, NEW.recorded_at,
            NEW.recorded_by, NEW.granted_word)
        IS DISTINCT FROM
           (OLD.id, OLD.patient_id, OLD.org_id, OLD.grantee_org_id, OLD.purpose, OLD.category, OLD.evidence,
            OLD.reference_sealed, OLD.text_version, OLD.locale, OLD.granted_at, OLD.expires_at, OLD.recorded_at,
            OLD.recorded_by, OLD.granted_word) THEN
        RAISE EXCEPTION 'a consent is revoked once, and nothing else of it changes'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'consents_append_only', TABLE = 'consents';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER consents_append_only BEFORE UPDATE ON consents FOR EACH ROW EXECUTE FUNCTION keep_consent();

-- Whoever may see anything of a patient must see what the patient took back: the roles are all that any table about
-- patients has. A test compares them.
ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY org_purpose_patient_role ON consents USING (
    org_id = nullif(current_setting('app.org_id', true), '')::uuid
    AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
    AND CASE nullif(current_setting('app.patient_id', true), '')
        WHEN 'any' THEN true
        ELSE patient_id = nullif(current_setting('app.patient_id', true), '')::uuid
        END
    AND current_setting('app.role', true) = ANY ('{provider_staff}'::text[]));
COMMENT ON POLICY org_purpose_patient_role ON consents IS 'Own organisation, a purpose, the patient of the transaction, and a role that reads and changes.';
CREATE POLICY org_purpose_patient_reader ON consents FOR SELECT USING (
    org_id = nullif(current_setting('app.org_id', true), '')::uuid
    AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
    AND CASE nullif(current_setting('app.patient_id', true), '')
        WHEN 'any' THEN true
        ELSE patient_id = nullif(current_setting('app.patient_id', true), '')::uuid
        END
    AND current_setting('app.role', true) = ANY ('{provider,org_admin,auditor}'::text[]));
COMMENT ON POLICY org_purpose_patient_reader ON consents IS 'Own organisation, a purpose, the patient of the transaction, and a role that only reads.';
