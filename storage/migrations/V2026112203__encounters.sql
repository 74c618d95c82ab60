-- Encounters. A signed one never changes; what is said later is an addendum.

CREATE TABLE encounters (
    id                   uuid        PRIMARY KEY,
    patient_id           uuid        NOT NULL REFERENCES patients (id),
    org_id               uuid        NOT NULL,
    status               text        NOT NULL CHECK (status IN ('open', 'signed', 'cancelled')),
    category             text        NOT NULL CHECK (category IN ('general', 'psychotherapy-notes', 'substance-use', 'reproductive', 'minor-sensitive')),
    service_jurisdiction text        NOT NULL CHECK (service_jurisdiction ~ '^US-[A-Z]{2}$'),
    reason_sealed        bytea,
    note_sealed          bytea,
    diagnoses_sealed     bytea,
    provider_npi         text        NOT NULL CHECK (provider_npi ~ '^[12][0-9]{9}$'),
    opened_at            timestamptz NOT NULL,
    signed_at            timestamptz,
    signed_by            uuid,
    content_sha256       bytea       CHECK (length(content_sha256) = 32),
    version              integer     NOT NULL CHECK (version >= 1),
    CONSTRAINT encounters_signed_whole CHECK (
        (status = 'signed') = (signed_at IS NOT NULL)
        AND (status = 'signed') = (signed_by IS NOT NULL)
        AND (status = 'signed') = (content_sha256 IS NOT NULL))
);
COMMENT ON TABLE  encounters                      IS 'One visit of a patient.';
COMMENT ON COLUMN encounters.id                   IS 'Random id.';
COMMENT ON COLUMN encounters.patient_id           IS 'Whose visit.';
COMMENT ON COLUMN encounters.org_id               IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN encounters.status               IS 'open, then signed or cancelled; nothing leads back.';
COMMENT ON COLUMN encounters.category             IS 'The legal category, which chooses the data key of the sealed columns.';
COMMENT ON COLUMN encounters.service_jurisdiction IS 'Where the patient physically was.';
COMMENT ON COLUMN encounters.reason_sealed        IS 'Why the patient came.';
COMMENT ON COLUMN encounters.note_sealed          IS 'The clinical note.';
COMMENT ON COLUMN encounters.diagnoses_sealed     IS 'ICD-10-CM codes as JSON.';
COMMENT ON COLUMN encounters.provider_npi         IS 'The clinician''s National Provider Identifier, which is public.';
COMMENT ON COLUMN encounters.opened_at            IS 'When it was opened.';
COMMENT ON COLUMN encounters.signed_at            IS 'When it was signed.';
COMMENT ON COLUMN encounters.signed_by            IS 'The credential that signed.';
COMMENT ON COLUMN encounters.content_sha256       IS 'Keyed digest of what was signed.';
COMMENT ON COLUMN encounters.version              IS 'Raised by every change: the entity tag.';
CREATE INDEX encounters_by_patient ON encounters (org_id, patient_id, opened_at DESC, id DESC);
GRANT SELECT, INSERT, UPDATE ON encounters TO domicile_app;

CREATE FUNCTION keep_signed_encounter() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF OLD.status <> 'open' THEN
        RAISE EXCEPTION 'an encounter that is % does not change', OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'encounters_signed_immutable', TABLE = 'encounters';
    END IF;
    IF NEW.id <> OLD.id OR NEW.patient_id <> OLD.patient_id OR NEW.org_id <> OLD.org_id
        OR NEW.category <> OLD.category OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'a change of an encounter keeps its identity and raises the version by one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'encounters_version_rises', TABLE = 'encounters';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER encounters_immutable BEFORE UPDATE ON encounters FOR EACH ROW EXECUTE FUNCTION keep_signed_encounter();

CREATE TABLE encounter_addenda (
    id           uuid        PRIMARY KEY,
    encounter_id uuid        NOT NULL REFERENCES encounters (id),
    patient_id   uuid        NOT NULL REFERENCES patients (id),
    org_id       uuid        NOT NULL,
    body_sealed  bytea       NOT NULL,
    at           timestamptz NOT NULL,
    by           uuid        NOT NULL
);
COMMENT ON TABLE  encounter_addenda              IS 'What was said about an encounter after it was signed. Only ever added to.';
COMMENT ON COLUMN encounter_addenda.id           IS 'Random id.';
COMMENT ON COLUMN encounter_addenda.encounter_id IS 'Which encounter.';
COMMENT ON COLUMN encounter_addenda.patient_id   IS 'Whose visit.';
COMMENT ON COLUMN encounter_addenda.org_id       IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN encounter_addenda.body_sealed  IS 'The text.';
COMMENT ON COLUMN encounter_addenda.at           IS 'When it was added.';
COMMENT ON COLUMN encounter_addenda.by           IS 'The credential that added it.';
CREATE INDEX encounter_addenda_by_encounter ON encounter_addenda (org_id, encounter_id, at, id);
GRANT SELECT, INSERT ON encounter_addenda TO domicile_app;
