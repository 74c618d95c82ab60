DROP TABLE patient_index;
DROP TABLE patients_history;
DROP TABLE patients;
DROP FUNCTION keep_patient_version();
