-- The access log is looked at by patient: who stated which purpose, the last first (45 CFR 164.312(b), 164.528).

-- Below the policies: only those who review what was done, and the patient, see what was done, and of one patient at a time. RESTRICTIVE,
-- so it takes away from what org_purpose shows; FOR SELECT, so everybody's records are still written.
CREATE POLICY org_purpose_patient_reviewer ON access_log AS RESTRICTIVE FOR SELECT USING (
    org_id = nullif(current_setting('app.org_id', true), '')::uuid
    AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
    AND CASE nullif(current_setting('app.patient_id', true), '')
        WHEN 'any' THEN true
        ELSE patient_id = nullif(current_setting('app.patient_id', true), '')::uuid
        END
    AND current_setting('app.role', true) = ANY ('{org_admin,auditor,patient}'::text[]));
COMMENT ON POLICY org_purpose_patient_reviewer ON access_log IS 'Own organisation, a purpose, the patient of the transaction, and a role that reviews or is theirs.';

-- In the order of the pages: a page reads what it shows, however often the patient was looked at.
CREATE INDEX access_log_latest_of_patient ON access_log (org_id, patient_id, at DESC, id DESC);
DROP INDEX access_log_by_patient;
