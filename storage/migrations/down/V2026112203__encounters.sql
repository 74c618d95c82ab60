DROP TABLE encounter_addenda;
DROP TABLE encounters;
DROP FUNCTION keep_signed_encounter();
