-- Whose credential it was. Null where a key belongs to no person, as all did before.

ALTER TABLE access_log ADD COLUMN user_id uuid;
COMMENT ON COLUMN access_log.user_id IS 'The user whose credential was used; null where it is no person''s.';
