CREATE INDEX access_log_by_patient ON access_log (org_id, patient_id, at);
DROP INDEX access_log_latest_of_patient;
DROP POLICY org_purpose_patient_reviewer ON access_log;
