DROP POLICY sequencer_see ON access_log;
ALTER POLICY org_purpose_patient_reviewer ON access_log TO PUBLIC;
DROP FUNCTION records_waiting, records_to_sequence;
DROP TABLE audit_checkpoints, audit_tiles, audit_leaves, audit_lease;
DROP FUNCTION keep_audit_checkpoint, keep_audit_tiles, keep_audit_leaves, keep_audit_lease, refuse_change_of_audit_tree;
