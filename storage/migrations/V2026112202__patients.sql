-- Patients and how they are found. Columns that end in _sealed are AES-256-GCM under the patient's data key, bound
-- to (table, row, column, patient, region). Columns that end in _blind are keyed HMACs.

CREATE TABLE patients (
    id                           uuid        PRIMARY KEY REFERENCES patient_home (patient_id),
    org_id                       uuid        NOT NULL,
    home_epoch                   bigint      NOT NULL,
    mrn_sealed                   bytea       NOT NULL,
    given_name_sealed            bytea       NOT NULL,
    family_name_sealed           bytea       NOT NULL,
    birth_date_sealed            bytea       NOT NULL,
    sex_sealed                   bytea       NOT NULL,
    email_sealed                 bytea,
    phone_sealed                 bytea,
    address_sealed               bytea       NOT NULL,
    address_jurisdiction_differs boolean     NOT NULL,
    version                      integer     NOT NULL CHECK (version >= 1),
    created_at                   timestamptz NOT NULL,
    updated_at                   timestamptz NOT NULL,
    deleted_at                   timestamptz,
    delete_reason                text        CHECK (delete_reason IN ('patient-request', 'duplicate', 'entered-in-error', 'retention-ended')),
    CONSTRAINT patients_deleted_with_reason CHECK ((deleted_at IS NULL) = (delete_reason IS NULL))
);
COMMENT ON TABLE  patients                              IS 'One patient of one organisation.';
COMMENT ON COLUMN patients.id                           IS 'Random id.';
COMMENT ON COLUMN patients.org_id                       IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN patients.home_epoch                   IS 'The epoch at which the row was last written.';
COMMENT ON COLUMN patients.mrn_sealed                   IS 'Medical record number.';
COMMENT ON COLUMN patients.given_name_sealed            IS 'Given name.';
COMMENT ON COLUMN patients.family_name_sealed           IS 'Family name.';
COMMENT ON COLUMN patients.birth_date_sealed            IS 'Birth date.';
COMMENT ON COLUMN patients.sex_sealed                   IS 'Sex.';
COMMENT ON COLUMN patients.email_sealed                 IS 'E-mail address.';
COMMENT ON COLUMN patients.phone_sealed                 IS 'Phone number.';
COMMENT ON COLUMN patients.address_sealed               IS 'Postal address as JSON.';
COMMENT ON COLUMN patients.address_jurisdiction_differs IS 'Whether the address is in another state than the home. Says no more than that.';
COMMENT ON COLUMN patients.version                      IS 'Raised by every change: the entity tag.';
COMMENT ON COLUMN patients.created_at                   IS 'When the row was made.';
COMMENT ON COLUMN patients.updated_at                   IS 'When the row was last changed.';
COMMENT ON COLUMN patients.deleted_at                   IS 'When the record was removed from view.';
COMMENT ON COLUMN patients.delete_reason                IS 'Why it was removed, as a code.';
CREATE INDEX patients_by_creation ON patients (org_id, created_at DESC, id DESC);
GRANT SELECT, INSERT, UPDATE ON patients TO domicile_app;

CREATE TABLE patients_history (
    id                           uuid        NOT NULL REFERENCES patients (id),
    version                      integer     NOT NULL,
    org_id                       uuid        NOT NULL,
    home_epoch                   bigint      NOT NULL,
    mrn_sealed                   bytea       NOT NULL,
    given_name_sealed            bytea       NOT NULL,
    family_name_sealed           bytea       NOT NULL,
    birth_date_sealed            bytea       NOT NULL,
    sex_sealed                   bytea       NOT NULL,
    email_sealed                 bytea,
    phone_sealed                 bytea,
    address_sealed               bytea       NOT NULL,
    address_jurisdiction_differs boolean     NOT NULL,
    updated_at                   timestamptz NOT NULL,
    replaced_at                  timestamptz NOT NULL,
    PRIMARY KEY (id, version)
);
COMMENT ON TABLE  patients_history                              IS 'Every earlier version of a patient row (45 CFR 164.526 needs what was there before an amendment). Written by a trigger, so no statement can leave it out. Cells stay bound to the table patients.';
COMMENT ON COLUMN patients_history.id                           IS 'The patient.';
COMMENT ON COLUMN patients_history.version                      IS 'The version that was replaced.';
COMMENT ON COLUMN patients_history.org_id                       IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN patients_history.home_epoch                   IS 'The epoch at which that version was written.';
COMMENT ON COLUMN patients_history.mrn_sealed                   IS 'Medical record number.';
COMMENT ON COLUMN patients_history.given_name_sealed            IS 'Given name.';
COMMENT ON COLUMN patients_history.family_name_sealed           IS 'Family name.';
COMMENT ON COLUMN patients_history.birth_date_sealed            IS 'Birth date.';
COMMENT ON COLUMN patients_history.sex_sealed                   IS 'Sex.';
COMMENT ON COLUMN patients_history.email_sealed                 IS 'E-mail address.';
COMMENT ON COLUMN patients_history.phone_sealed                 IS 'Phone number.';
COMMENT ON COLUMN patients_history.address_sealed               IS 'Postal address as JSON.';
COMMENT ON COLUMN patients_history.address_jurisdiction_differs IS 'Whether the address was in another state than the home.';
COMMENT ON COLUMN patients_history.updated_at                   IS 'When that version was written.';
COMMENT ON COLUMN patients_history.replaced_at                  IS 'When the next version replaced it.';
CREATE INDEX patients_history_by_org ON patients_history (org_id, id, version);
GRANT SELECT, INSERT ON patients_history TO domicile_app;

CREATE FUNCTION keep_patient_version() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.org_id <> OLD.org_id OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'a change of a patient keeps id and organisation and raises the version by one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'patients_version_rises', TABLE = 'patients';
    END IF;
    INSERT INTO patients_history (id, version, org_id, home_epoch, mrn_sealed, given_name_sealed, family_name_sealed,
        birth_date_sealed, sex_sealed, email_sealed, phone_sealed, address_sealed, address_jurisdiction_differs,
        updated_at, replaced_at)
    VALUES (OLD.id, OLD.version, OLD.org_id, OLD.home_epoch, OLD.mrn_sealed, OLD.given_name_sealed,
        OLD.family_name_sealed, OLD.birth_date_sealed, OLD.sex_sealed, OLD.email_sealed, OLD.phone_sealed,
        OLD.address_sealed, OLD.address_jurisdiction_differs, OLD.updated_at, NEW.updated_at);
    RETURN NEW;
END
$$;
CREATE TRIGGER patients_history BEFORE UPDATE ON patients FOR EACH ROW EXECUTE FUNCTION keep_patient_version();

CREATE TABLE patient_index (
    org_id      uuid  NOT NULL,
    field       text  NOT NULL,
    value_blind bytea NOT NULL CHECK (length(value_blind) = 16),
    patient_id  uuid  NOT NULL REFERENCES patients (id),
    PRIMARY KEY (org_id, field, value_blind, patient_id)
);
COMMENT ON TABLE  patient_index             IS 'Keyed blind indexes: exact search on normalised values, never an order.';
COMMENT ON COLUMN patient_index.org_id      IS 'The organisation. Its key differs from every other organisation''s.';
COMMENT ON COLUMN patient_index.field       IS 'What is indexed: family-name, full-name, family-name-birth-date, birth-date, phone, email, mrn.';
COMMENT ON COLUMN patient_index.value_blind IS 'HMAC-SHA-256 of the normalised value under the key of region, organisation and field, cut to 16 bytes.';
COMMENT ON COLUMN patient_index.patient_id  IS 'Who has this value.';
CREATE UNIQUE INDEX patient_index_one_mrn ON patient_index (org_id, value_blind) WHERE field = 'mrn';
CREATE INDEX patient_index_by_patient ON patient_index (patient_id);
GRANT SELECT, INSERT, DELETE ON patient_index TO domicile_app;
