-- What took a statement each and a lock between them. Each is a function, because within one statement a look would see
-- what was there before the lock: in a VOLATILE function every statement has a snapshot of its own (READ COMMITTED).
-- They run with their caller's rights. Names are qualified instead of a search_path set, which costs at every call.

-- Who acts, for row-level security; then the fence (storage/src/fence.rs): first the gate, whose queue is fair, then the
-- home row. Says the epoch of an active home. All of it ends with the transaction.
CREATE FUNCTION enter_transaction(org uuid, role text, purpose text, patient uuid, gate bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    home bigint;
BEGIN
    PERFORM set_config('app.org_id', org::text, true), set_config('app.role', role, true),
        set_config('app.purpose', purpose, true), set_config('app.patient_id', coalesce(patient::text, 'any'), true);
    IF patient IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(gate);
        SELECT CASE h.state WHEN 'active' THEN h.epoch END INTO home
        FROM public.patient_home h WHERE h.patient_id = patient FOR SHARE;
    END IF;
    RETURN home;
END
$$;
COMMENT ON FUNCTION enter_transaction IS 'Sets who acts and takes the fence of a patient, if it is about one. Returns the epoch of an active home.';

-- First the lock, unless it is null: the look-up then sees what its last holder committed. Always one row; its id is null
-- when there was no such attempt.
CREATE FUNCTION find_attempt(lock bigint, org uuid, mac bytea, OUT locked boolean, OUT id uuid, OUT fingerprint bytea,
    OUT patient_id uuid, OUT category text, OUT status smallint, OUT header_names text[], OUT header_values text[],
    OUT body_sealed bytea, OUT served boolean)
LANGUAGE plpgsql AS $$
BEGIN
    locked := pg_try_advisory_xact_lock(lock);
    -- The last condition is for an answer that was stored while the record was being removed, and so was not forgotten
    -- with it: a repetition names the same patient and sees the row. The removal's own answer is of the same instant and
    -- stays.
    SELECT r.id, r.fingerprint, r.patient_id, r.category, r.status, r.header_names, r.header_values, r.body_sealed,
        NOT r.answer_gone AND (r.patient_id IS NULL OR h.state IS NOT DISTINCT FROM 'active')
            AND NOT EXISTS (
                SELECT FROM public.patients p WHERE p.id = r.patient_id AND p.deleted_at <> r.created_at)
    INTO id, fingerprint, patient_id, category, status, header_names, header_values, body_sealed, served
    FROM public.idempotency_records r LEFT JOIN public.patient_home h ON h.patient_id = r.patient_id
    WHERE r.org_id = org AND r.attempt_mac = mac;
END
$$;
COMMENT ON FUNCTION find_attempt IS 'Tries an attempt''s lock, then looks it up.';
