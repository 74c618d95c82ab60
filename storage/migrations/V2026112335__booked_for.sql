-- For what an appointment or a wish was asked for: who finishes it for somebody who is gone asks for the consent to that,
-- and to nothing else. Null of what is older, where the consent to either counts, as it did before.

ALTER TABLE appointments ADD COLUMN purpose text CHECK (purpose ~ '^[A-Z]{3,10}$');
COMMENT ON COLUMN appointments.purpose IS 'For what it was asked for, as an HL7 v3-ActReason code; null of what was booked before this was kept.';

ALTER TABLE waitlist ADD COLUMN purpose text CHECK (purpose ~ '^[A-Z]{3,10}$');
COMMENT ON COLUMN waitlist.purpose IS 'For what it was asked for, as an HL7 v3-ActReason code; null of what was wished for before this was kept.';
