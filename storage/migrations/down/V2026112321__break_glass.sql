DROP FUNCTION record_accesses_under;
ALTER TABLE access_log DROP COLUMN grant_id;
DROP TABLE break_glass_grants;
DROP FUNCTION keep_break_glass();
