-- Only where no node serves: until the way up is gone again, nothing but grants keeps organisations apart.

DROP POLICY org_purpose_patient_role ON patients;
DROP POLICY org_purpose_patient_reader ON patients;
DROP POLICY org_purpose_patient_role ON patients_history;
DROP POLICY org_purpose_patient_role ON patient_index;
DROP POLICY org_purpose_patient_role ON encounters;
DROP POLICY org_purpose_patient_reader ON encounters;
DROP POLICY org_purpose_patient_role ON encounter_addenda;
DROP POLICY org_purpose ON access_log;
DROP POLICY org_purpose ON idempotency_records;
DROP POLICY purge_old_see ON idempotency_records;
DROP POLICY purge_old_delete ON idempotency_records;
DROP POLICY org_purpose ON outbox;

ALTER TABLE patients NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE patients_history NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE patient_index NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE encounters NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE encounter_addenda NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE access_log NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_records NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
