ALTER TABLE waitlist DROP COLUMN purpose;
ALTER TABLE appointments DROP COLUMN purpose;
