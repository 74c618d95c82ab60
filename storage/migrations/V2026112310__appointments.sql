-- Appointments: who comes when and why, at the patient's home. The control plane knows a random handle and a time.

CREATE TABLE appointments (
    id                   uuid        PRIMARY KEY,
    patient_id           uuid        NOT NULL REFERENCES patients (id),
    org_id               uuid        NOT NULL,
    status               text        NOT NULL CHECK (status IN ('pending', 'booked', 'moving', 'cancelling', 'cancelled', 'failed')),
    provider_id          uuid        NOT NULL,
    service_jurisdiction text        NOT NULL CHECK (service_jurisdiction ~ '^US-[A-Z]{2}$'),
    kind                 text        NOT NULL CHECK (kind IN ('video', 'phone', 'in-person')),
    handle               uuid        NOT NULL,
    starts_at            timestamptz NOT NULL,
    ends_at              timestamptz NOT NULL CHECK (ends_at > starts_at),
    to_provider_id       uuid,
    to_handle            uuid,
    to_starts_at         timestamptz,
    to_ends_at           timestamptz,
    reason_sealed        bytea,
    cancel_code          text        CHECK (cancel_code IN ('patient-request', 'provider-unavailable', 'no-longer-needed', 'entered-in-error', 'patient-removed')),
    cancel_note_sealed   bytea,
    failure              text        CHECK (failure ~ '^[a-z-]{1,40}$'),
    made_mac             bytea       NOT NULL CHECK (length(made_mac) = 32),
    request_mac          bytea       NOT NULL CHECK (length(request_mac) = 32),
    made_by              uuid        NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    version              integer     NOT NULL CHECK (version >= 1),
    CONSTRAINT appointments_moving_whole CHECK (
        (status = 'moving') = (to_handle IS NOT NULL)
        AND (status = 'moving') = (to_provider_id IS NOT NULL)
        AND (status = 'moving') = (to_starts_at IS NOT NULL)
        AND (status = 'moving') = (to_ends_at IS NOT NULL)),
    CONSTRAINT appointments_cancelled_with_code CHECK ((status IN ('cancelling', 'cancelled')) = (cancel_code IS NOT NULL)),
    CONSTRAINT appointments_note_of_cancelling CHECK (cancel_note_sealed IS NULL OR cancel_code IS NOT NULL),
    CONSTRAINT appointments_failed_with_code CHECK ((status = 'failed') = (failure IS NOT NULL))
);
COMMENT ON TABLE  appointments                      IS 'One appointment of a patient. The row is durable before the control plane is asked to hold its time, so no time is ever taken that no row answers for.';
COMMENT ON COLUMN appointments.id                   IS 'Keyed hash of who asked and of their idempotency key: a repeated request finds its own row.';
COMMENT ON COLUMN appointments.patient_id           IS 'Who comes.';
COMMENT ON COLUMN appointments.org_id               IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN appointments.status               IS 'pending, moving and cancelling are on their way and have a row in booking_work; booked, cancelled and failed rest.';
COMMENT ON COLUMN appointments.provider_id          IS 'With whom. Providers are public.';
COMMENT ON COLUMN appointments.service_jurisdiction IS 'Where the patient will be: licensure follows it.';
COMMENT ON COLUMN appointments.kind                 IS 'How they meet.';
COMMENT ON COLUMN appointments.handle               IS 'What the control plane knows the time by.';
COMMENT ON COLUMN appointments.starts_at            IS 'When it begins.';
COMMENT ON COLUMN appointments.ends_at              IS 'When it ends.';
COMMENT ON COLUMN appointments.to_provider_id       IS 'While it is being moved: with whom then.';
COMMENT ON COLUMN appointments.to_handle            IS 'While it is being moved: what the control plane knows the other time by.';
COMMENT ON COLUMN appointments.to_starts_at         IS 'While it is being moved: when it then begins.';
COMMENT ON COLUMN appointments.to_ends_at           IS 'While it is being moved: when it then ends.';
COMMENT ON COLUMN appointments.reason_sealed        IS 'Why the patient comes.';
COMMENT ON COLUMN appointments.cancel_code          IS 'Why it was cancelled, as a code.';
COMMENT ON COLUMN appointments.cancel_note_sealed   IS 'Why it was cancelled, in words.';
COMMENT ON COLUMN appointments.failure              IS 'Why it was not booked, as the problem''s slug.';
COMMENT ON COLUMN appointments.made_mac             IS 'Keyed hash of the request that made it, so that the same one again is known whatever became of it.';
COMMENT ON COLUMN appointments.request_mac          IS 'Keyed hash of the last request that changes it, so that the same one again is known.';
COMMENT ON COLUMN appointments.made_by              IS 'The credential that made it.';
COMMENT ON COLUMN appointments.created_at           IS 'When it was asked for.';
COMMENT ON COLUMN appointments.updated_at           IS 'When the row was last changed.';
COMMENT ON COLUMN appointments.version              IS 'Raised by every change: the entity tag.';
CREATE INDEX appointments_by_patient ON appointments (org_id, patient_id, starts_at DESC, id DESC);
GRANT SELECT, INSERT, UPDATE ON appointments TO domicile_app;

CREATE TABLE booking_handles (
    handle         uuid PRIMARY KEY,
    org_id         uuid NOT NULL,
    patient_id     uuid NOT NULL REFERENCES patients (id),
    appointment_id uuid NOT NULL REFERENCES appointments (id)
);
COMMENT ON TABLE  booking_handles                IS 'Which appointment made use of a hold that somebody took before. Two appointments must not rest on one hold.';
COMMENT ON COLUMN booking_handles.handle         IS 'The hold''s handle.';
COMMENT ON COLUMN booking_handles.org_id         IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN booking_handles.patient_id     IS 'Who comes.';
COMMENT ON COLUMN booking_handles.appointment_id IS 'Which appointment.';
CREATE INDEX booking_handles_by_appointment ON booking_handles (org_id, patient_id, appointment_id);
GRANT SELECT, INSERT, DELETE ON booking_handles TO domicile_app;

CREATE TABLE waitlist (
    id                   uuid        PRIMARY KEY,
    patient_id           uuid        NOT NULL REFERENCES patients (id),
    org_id               uuid        NOT NULL,
    status               text        NOT NULL CHECK (status IN ('joining', 'waiting', 'offering', 'offered', 'leaving', 'ended')),
    handle               uuid        NOT NULL UNIQUE,
    provider_id          uuid,
    specialty            text        CHECK (specialty ~ '^[0-9]{3}[0-9A-Z]{6}X$'),
    service_jurisdiction text        NOT NULL CHECK (service_jurisdiction ~ '^US-[A-Z]{2}$'),
    wanted_from          timestamptz NOT NULL,
    wanted_to            timestamptz NOT NULL CHECK (wanted_to > wanted_from),
    offer_provider_id    uuid,
    offer_handle         uuid,
    offer_starts_at      timestamptz,
    offer_ends_at        timestamptz,
    offer_until          timestamptz,
    outcome              text        CHECK (outcome IN ('booked', 'removed', 'expired')),
    request_mac          bytea       NOT NULL CHECK (length(request_mac) = 32),
    made_by              uuid        NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    version              integer     NOT NULL CHECK (version >= 1),
    CONSTRAINT waitlist_wants_one CHECK ((provider_id IS NULL) <> (specialty IS NULL)),
    CONSTRAINT waitlist_offer_whole CHECK (
        (status IN ('offering', 'offered')) = (offer_handle IS NOT NULL)
        AND (offer_handle IS NULL) = (offer_provider_id IS NULL)
        AND (offer_handle IS NULL) = (offer_starts_at IS NULL)
        AND (offer_handle IS NULL) = (offer_ends_at IS NULL)
        AND (offer_handle IS NULL) = (offer_until IS NULL)),
    CONSTRAINT waitlist_ends_with_outcome CHECK ((status IN ('leaving', 'ended')) = (outcome IS NOT NULL))
);
COMMENT ON TABLE  waitlist                      IS 'A patient''s wish for an appointment. Its place in the order is in the control plane, under a random handle.';
COMMENT ON COLUMN waitlist.id                   IS 'Keyed hash of who asked and of their idempotency key.';
COMMENT ON COLUMN waitlist.patient_id           IS 'Who waits.';
COMMENT ON COLUMN waitlist.org_id               IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN waitlist.status               IS 'joining, offering and leaving are on their way; waiting waits, offered has a slot held for a while, ended rests.';
COMMENT ON COLUMN waitlist.handle               IS 'What the control plane knows the wish by.';
COMMENT ON COLUMN waitlist.provider_id          IS 'For whom, if for one provider.';
COMMENT ON COLUMN waitlist.specialty            IS 'For which specialty otherwise, as a NUCC code.';
COMMENT ON COLUMN waitlist.service_jurisdiction IS 'Where the patient will be.';
COMMENT ON COLUMN waitlist.wanted_from          IS 'The earliest beginning.';
COMMENT ON COLUMN waitlist.wanted_to            IS 'The end of the wish: no slot that begins then or later is offered.';
COMMENT ON COLUMN waitlist.offer_provider_id    IS 'What is offered: with whom.';
COMMENT ON COLUMN waitlist.offer_handle         IS 'What is offered: the hold.';
COMMENT ON COLUMN waitlist.offer_starts_at      IS 'What is offered: when it begins.';
COMMENT ON COLUMN waitlist.offer_ends_at        IS 'What is offered: when it ends.';
COMMENT ON COLUMN waitlist.offer_until          IS 'Until when the offer stands.';
COMMENT ON COLUMN waitlist.outcome              IS 'How it ended.';
COMMENT ON COLUMN waitlist.request_mac          IS 'Keyed hash of the request that made it.';
COMMENT ON COLUMN waitlist.made_by              IS 'The credential that made it.';
COMMENT ON COLUMN waitlist.created_at           IS 'When it was made.';
COMMENT ON COLUMN waitlist.updated_at           IS 'When the row was last changed.';
COMMENT ON COLUMN waitlist.version              IS 'Raised by every change.';
CREATE INDEX waitlist_by_patient ON waitlist (org_id, patient_id, created_at DESC, id DESC);
CREATE INDEX waitlist_by_offer ON waitlist (offer_handle) WHERE offer_handle IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON waitlist TO domicile_app;

CREATE SEQUENCE booking_fences START WITH 2;
COMMENT ON SEQUENCE booking_fences IS 'Fences of booking_work. No two pieces of work have the same, though they be about one appointment; 1 is that of the first on something new.';
GRANT USAGE ON SEQUENCE booking_fences TO domicile_app;

CREATE TABLE booking_work (
    id         uuid        PRIMARY KEY,
    org_id     uuid        NOT NULL,
    patient_id uuid        NOT NULL REFERENCES patients (id),
    subject    text        NOT NULL CHECK (subject IN ('appointment', 'wish')),
    handle     uuid        NOT NULL,
    key_id     uuid        NOT NULL,
    role       text        NOT NULL,
    fence      bigint      NOT NULL DEFAULT nextval('booking_fences'),
    resting    boolean     NOT NULL DEFAULT false,
    due_at     timestamptz NOT NULL
);
COMMENT ON TABLE  booking_work            IS 'What is on its way between this home and the control plane. Whoever works on a row has it until due_at; then another may take it and finish or undo it.';
COMMENT ON COLUMN booking_work.id         IS 'The appointment, or the wish.';
COMMENT ON COLUMN booking_work.org_id     IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN booking_work.patient_id IS 'Whose record.';
COMMENT ON COLUMN booking_work.subject    IS 'Which table it is about.';
COMMENT ON COLUMN booking_work.handle     IS 'What the control plane knows it by.';
COMMENT ON COLUMN booking_work.key_id     IS 'The credential in whose name it is done.';
COMMENT ON COLUMN booking_work.role       IS 'The role in which it is done.';
COMMENT ON COLUMN booking_work.fence      IS 'Another one whenever it changes hands: whoever had it before cannot write any more.';
COMMENT ON COLUMN booking_work.resting    IS 'Nobody works on it: it waits for its time, and may be woken before.';
COMMENT ON COLUMN booking_work.due_at     IS 'Nobody else takes it before this.';
CREATE INDEX booking_work_by_org ON booking_work (org_id, patient_id);
CREATE INDEX booking_work_due ON booking_work (due_at);
CREATE INDEX booking_work_by_handle ON booking_work (handle);
GRANT SELECT, INSERT, DELETE, UPDATE (fence, resting, due_at, handle) ON booking_work TO domicile_app;

CREATE FUNCTION keep_appointment() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.patient_id <> OLD.patient_id OR NEW.org_id <> OLD.org_id
        OR NEW.made_mac <> OLD.made_mac OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'a change of an appointment keeps its identity and raises the version by one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'appointments_version_rises', TABLE = 'appointments';
    END IF;
    IF NOT (OLD.status, NEW.status) IN (
        ('pending', 'booked'), ('pending', 'failed'), ('failed', 'pending'),
        ('booked', 'moving'), ('moving', 'booked'),
        ('booked', 'cancelling'), ('cancelling', 'booked'), ('cancelling', 'cancelled'),
        -- Of a patient who was removed from view meanwhile.
        ('pending', 'cancelling'), ('moving', 'cancelling'), ('cancelling', 'cancelling')) THEN
        RAISE EXCEPTION 'an appointment that is % does not become %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'appointments_way', TABLE = 'appointments';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER appointments_way BEFORE UPDATE ON appointments FOR EACH ROW EXECUTE FUNCTION keep_appointment();

-- Whoever is removed from view keeps no time of anybody's: what is booked is cancelled, what is wished for is withdrawn,
-- by whoever works on booking_work next. What is on its way goes on, and is cancelled when it has arrived: whoever ends it
-- looks for the removal after they locked the row, and the removal waits for whoever has it locked.
CREATE FUNCTION free_times_of_removed() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    PERFORM 1 FROM appointments
    WHERE org_id = NEW.org_id AND patient_id = NEW.id AND status IN ('pending', 'moving', 'cancelling')
    ORDER BY id FOR UPDATE;
    WITH gone AS (
        UPDATE appointments SET status = 'cancelling', cancel_code = 'patient-removed', updated_at = NEW.updated_at,
            version = version + 1
        WHERE org_id = NEW.org_id AND patient_id = NEW.id AND status = 'booked'
        RETURNING id, org_id, patient_id, handle, made_by)
    INSERT INTO booking_work (id, org_id, patient_id, subject, handle, key_id, role, due_at)
    SELECT id, org_id, patient_id, 'appointment', handle, made_by, current_setting('app.role'), now() FROM gone
    ON CONFLICT (id) DO NOTHING;
    UPDATE booking_work SET fence = nextval('booking_fences'), resting = false, due_at = now()
    WHERE org_id = NEW.org_id AND patient_id = NEW.id AND subject = 'wish';
    RETURN NULL;
END
$$;
CREATE TRIGGER patients_free_times AFTER UPDATE OF deleted_at ON patients FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION free_times_of_removed();

-- Takes what is due, of all organisations, for so many seconds. It names no organisation; the policies worker_see and
-- worker_take let it see and take rows of booking_work, and nothing else.
CREATE FUNCTION take_booking_work(seconds double precision, at_most bigint)
RETURNS TABLE (id uuid, org_id uuid, patient_id uuid, subject text, key_id uuid, role text, fence bigint)
LANGUAGE plpgsql SET search_path = public AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'bookings', true);
    RETURN QUERY
        UPDATE booking_work SET fence = nextval('booking_fences'), resting = false,
            due_at = now() + make_interval(secs => seconds)
        WHERE booking_work.id IN (
            SELECT due.id FROM booking_work due WHERE due.due_at <= now() ORDER BY due.due_at LIMIT at_most
            FOR UPDATE SKIP LOCKED)
        RETURNING booking_work.id, booking_work.org_id, booking_work.patient_id, booking_work.subject,
            booking_work.key_id, booking_work.role, booking_work.fence;
    PERFORM set_config('app.worker', '', true);
END
$$;

-- Makes wishes due, by their handles: a slot for them may be free.
CREATE FUNCTION wake_wishes(handles uuid[]) RETURNS bigint LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
    woken bigint;
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'bookings', true);
    UPDATE booking_work SET due_at = now()
    WHERE handle = ANY (handles) AND subject = 'wish' AND resting AND due_at > now();
    GET DIAGNOSTICS woken = ROW_COUNT;
    PERFORM set_config('app.worker', '', true);
    RETURN woken;
END
$$;

DO $$
DECLARE
    one  record;
    base text;
BEGIN
    FOR one IN
        SELECT * FROM (VALUES
            ('appointments', '{provider,provider_staff,org_admin}', '{auditor}'),
            ('booking_handles', '{provider,provider_staff,org_admin}', NULL),
            ('waitlist', '{provider,provider_staff,org_admin}', NULL),
            ('booking_work', '{provider,provider_staff,org_admin}', NULL)
        ) AS t (tablename, changed_by, read_by)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one.tablename);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one.tablename);
        -- CASE, because a cast of 'any' to uuid must never be evaluated.
        base := $base$
                org_id = nullif(current_setting('app.org_id', true), '')::uuid
                AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
                AND CASE nullif(current_setting('app.patient_id', true), '')
                    WHEN 'any' THEN true
                    ELSE patient_id = nullif(current_setting('app.patient_id', true), '')::uuid
                    END
                AND current_setting('app.role', true) = ANY
            $base$;
        EXECUTE format('CREATE POLICY org_purpose_patient_role ON %I USING (%s (%L::text[]))',
            one.tablename, base, one.changed_by);
        EXECUTE format('COMMENT ON POLICY org_purpose_patient_role ON %I IS %L', one.tablename,
            'Own organisation, a purpose, the patient of the transaction, and a role that reads and changes.');
        CONTINUE WHEN one.read_by IS NULL;
        EXECUTE format('CREATE POLICY org_purpose_patient_reader ON %I FOR SELECT USING (%s (%L::text[]))',
            one.tablename, base, one.read_by);
        EXECUTE format('COMMENT ON POLICY org_purpose_patient_reader ON %I IS %L', one.tablename,
            'Own organisation, a purpose, the patient of the transaction, and a role that only reads.');
    END LOOP;

    -- What is left half done is no organisation's to find. Ids and times of work only; the records themselves are
    -- opened in a transaction of the organisation and the patient. Two policies: an UPDATE with a condition also reads.
    FOR one IN SELECT * FROM (VALUES ('SELECT', 'see'), ('UPDATE', 'take')) AS t (command, word)
    LOOP
        EXECUTE format($policy$
            CREATE POLICY worker_%1$s ON booking_work FOR %2$s
            USING (
                nullif(current_setting('app.org_id', true), '') IS NULL
                AND current_setting('app.worker', true) = 'bookings')
        $policy$, one.word, one.command);
        EXECUTE format('COMMENT ON POLICY worker_%s ON booking_work IS %L', one.word,
            'What is due, in a statement of no organisation.');
    END LOOP;
END
$$;
