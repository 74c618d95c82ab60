-- What belongs to the region as a whole: its stamp, its fence, its claimed ids. No PHI.

GRANT SELECT ON refinery_schema_history TO domicile_app;

CREATE TABLE region_stamp (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    cluster    text        NOT NULL,
    region     text        NOT NULL,
    stamped_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE  region_stamp            IS 'Whose database this is. A node of another region refuses it.';
COMMENT ON COLUMN region_stamp.only_row   IS 'Always true: there is one row.';
COMMENT ON COLUMN region_stamp.cluster    IS 'The deployment.';
COMMENT ON COLUMN region_stamp.region     IS 'The region, by its jurisdiction, such as US-TX.';
COMMENT ON COLUMN region_stamp.stamped_at IS 'When the stamp was set.';
GRANT SELECT ON region_stamp TO domicile_app;

CREATE TABLE region_keyring (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    index_key bytea   NOT NULL CHECK (length(index_key) = 16)
);
COMMENT ON TABLE  region_keyring           IS 'Which keyring this database was written with. With another one nothing would open and searches would silently find nothing, so a node refuses to start.';
COMMENT ON COLUMN region_keyring.only_row  IS 'Always true: there is one row.';
COMMENT ON COLUMN region_keyring.index_key IS 'The name (not the key) of the blind index key in that keyring.';
GRANT SELECT, INSERT ON region_keyring TO domicile_app;

CREATE TABLE patient_home (
    patient_id uuid   PRIMARY KEY,
    epoch      bigint NOT NULL CHECK (epoch BETWEEN 1 AND 4294967295),
    state      text   NOT NULL CHECK (state IN ('active', 'retired'))
);
COMMENT ON TABLE  patient_home            IS 'The fence: every transaction on a patient locks this row and compares the epoch with its permit. A home that moved on cannot commit.';
COMMENT ON COLUMN patient_home.patient_id IS 'Random id, known to the control plane.';
COMMENT ON COLUMN patient_home.epoch      IS 'The version of the placement, as raised by the control plane.';
COMMENT ON COLUMN patient_home.state      IS 'active: served here. retired: answers as if it never was.';
GRANT SELECT, INSERT, UPDATE (epoch, state) ON patient_home TO domicile_app;

CREATE TABLE id_pool (
    patient_id uuid PRIMARY KEY,
    taken      boolean NOT NULL DEFAULT false CHECK (NOT taken)
);
COMMENT ON TABLE  id_pool            IS 'Patient ids that this region has claimed and not used yet. Holds no time: the control plane never learns when anyone registered.';
COMMENT ON COLUMN id_pool.patient_id IS 'Random id, known to the control plane as living here.';
COMMENT ON COLUMN id_pool.taken      IS 'Always false: a taken id is deleted. The column is there because FOR UPDATE needs the right to update one.';
GRANT SELECT, INSERT, DELETE, UPDATE (taken) ON id_pool TO domicile_app;
