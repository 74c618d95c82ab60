-- Patients' own logins, kept at their home and nowhere else: who was invited, who signs in with what, and who is signed in.
-- And what row-level security shows to somebody who is a patient: their own rows (app.self), whatever is asked for.

CREATE TABLE portal_invitations (
    patient_id    uuid        PRIMARY KEY REFERENCES patients (id),
    org_id        uuid        NOT NULL,
    code_sha256   bytea       NOT NULL UNIQUE CHECK (length(code_sha256) = 32),
    attempts_left smallint    NOT NULL CHECK (attempts_left >= 0),
    made_by       uuid        NOT NULL,
    made_at       timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL CHECK (expires_at > made_at)
);
COMMENT ON TABLE  portal_invitations               IS 'Invitations to patients to choose a login: at most one of each, gone when it is taken up.';
COMMENT ON COLUMN portal_invitations.patient_id    IS 'Who is invited.';
COMMENT ON COLUMN portal_invitations.org_id        IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN portal_invitations.code_sha256   IS 'SHA-256 of the code, which has 120 random bits.';
COMMENT ON COLUMN portal_invitations.attempts_left IS 'How often it may still be shown.';
COMMENT ON COLUMN portal_invitations.made_by       IS 'The credential that invited.';
COMMENT ON COLUMN portal_invitations.made_at       IS 'When.';
COMMENT ON COLUMN portal_invitations.expires_at    IS 'Until when it is open, not included.';
CREATE INDEX portal_invitations_by_org ON portal_invitations (org_id, patient_id);

CREATE TABLE portal_accounts (
    patient_id          uuid        PRIMARY KEY REFERENCES patients (id),
    org_id              uuid        NOT NULL,
    id                  uuid        NOT NULL UNIQUE,
    email_sealed        bytea       NOT NULL,
    email_blind         bytea       NOT NULL CHECK (length(email_blind) = 16),
    password_memory_kib integer     NOT NULL CHECK (password_memory_kib > 0),
    password_passes     integer     NOT NULL CHECK (password_passes > 0),
    password_lanes      integer     NOT NULL CHECK (password_lanes > 0),
    password_salt       bytea       NOT NULL CHECK (length(password_salt) = 16),
    password_hash       bytea       NOT NULL CHECK (length(password_hash) = 32),
    failures            integer     NOT NULL DEFAULT 0,
    not_before          timestamptz,
    suspended_at        timestamptz,
    made_at             timestamptz NOT NULL
);
COMMENT ON TABLE  portal_accounts                     IS 'What patients sign in with.';
COMMENT ON COLUMN portal_accounts.patient_id          IS 'Whose login.';
COMMENT ON COLUMN portal_accounts.org_id              IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN portal_accounts.id                  IS 'Random id: access records of what the patient does name it as the user.';
COMMENT ON COLUMN portal_accounts.email_sealed        IS 'The e-mail address that they sign in with.';
COMMENT ON COLUMN portal_accounts.email_blind         IS 'HMAC-SHA-256 of the normalised address under a key of the region, cut to 16 bytes. The organisation is part of it, and has no second.';
COMMENT ON COLUMN portal_accounts.password_memory_kib IS 'Argon2id (RFC 9106): memory in KiB.';
COMMENT ON COLUMN portal_accounts.password_passes     IS 'Argon2id: passes.';
COMMENT ON COLUMN portal_accounts.password_lanes      IS 'Argon2id: lanes.';
COMMENT ON COLUMN portal_accounts.password_salt       IS 'Argon2id: salt.';
COMMENT ON COLUMN portal_accounts.password_hash       IS 'Argon2id: hash of the password.';
COMMENT ON COLUMN portal_accounts.failures            IS 'Failures in a row.';
COMMENT ON COLUMN portal_accounts.not_before          IS 'Until then nothing that is shown is looked at.';
COMMENT ON COLUMN portal_accounts.suspended_at        IS 'When staff ended it. A new invitation that is taken up begins it anew.';
COMMENT ON COLUMN portal_accounts.made_at             IS 'When the invitation was taken up.';
CREATE UNIQUE INDEX portal_accounts_one_email ON portal_accounts (org_id, email_blind);
CREATE INDEX portal_accounts_by_org ON portal_accounts (org_id, patient_id);

CREATE TABLE portal_sessions (
    id            uuid        PRIMARY KEY,
    patient_id    uuid        NOT NULL REFERENCES patients (id),
    org_id        uuid        NOT NULL,
    secret_sha256 bytea       NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
    begun_at      timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL CHECK (ends_at > begun_at)
);
COMMENT ON TABLE  portal_sessions               IS 'Who of the patients is signed in. What is not here is refused with the next request.';
COMMENT ON COLUMN portal_sessions.id            IS 'Random id: access records of what is done in it name it as the credential.';
COMMENT ON COLUMN portal_sessions.patient_id    IS 'Who is signed in.';
COMMENT ON COLUMN portal_sessions.org_id        IS 'The organisation that the record belongs to.';
COMMENT ON COLUMN portal_sessions.secret_sha256 IS 'SHA-256 of what the patient shows, which has 256 random bits.';
COMMENT ON COLUMN portal_sessions.begun_at      IS 'When they signed in.';
COMMENT ON COLUMN portal_sessions.seen_at       IS 'When it was last shown, to the minute. After half an hour without it is over.';
COMMENT ON COLUMN portal_sessions.ends_at       IS 'When it is over however often it is shown.';
CREATE INDEX portal_sessions_by_org ON portal_sessions (org_id, patient_id, begun_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON portal_invitations, portal_accounts, portal_sessions TO domicile_app;

DO $$
DECLARE
    one  record;
    base text;
    self text;
BEGIN
    -- Own organisation, a purpose, and the patient of the transaction. CASE, because a cast of 'any' to uuid must never be
    -- evaluated.
    base := $base$
                org_id = nullif(current_setting('app.org_id', true), '')::uuid
                AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
                AND CASE nullif(current_setting('app.patient_id', true), '')
                    WHEN 'any' THEN true
                    ELSE %I = nullif(current_setting('app.patient_id', true), '')::uuid
                    END
                AND current_setting('app.role', true) = ANY
            $base$;
    -- The same for whoever is a patient: of themselves only.
    self := base || $self$ ('{patient}'::text[])
                AND %I = nullif(current_setting('app.self', true), '')::uuid $self$;

    FOR one IN
        SELECT * FROM (VALUES ('portal_invitations'), ('portal_accounts'), ('portal_sessions')) AS t (tablename)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one.tablename);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one.tablename);
        EXECUTE format('CREATE POLICY org_purpose_patient_role ON %I USING (' || base || ' (%L::text[]))',
            one.tablename, 'patient_id', '{provider,provider_staff,org_admin}');
        EXECUTE format('COMMENT ON POLICY org_purpose_patient_role ON %I IS %L', one.tablename,
            'Own organisation, a purpose, the patient of the transaction, and a role that reads and changes.');
        EXECUTE format('CREATE POLICY own_all ON %I USING (' || self || ')', one.tablename, 'patient_id', 'patient_id');
        EXECUTE format('COMMENT ON POLICY own_all ON %I IS %L', one.tablename, 'Whoever is the patient.');
        -- Who signs in is nobody's yet. What is found so are ids and what a password is compared with.
        EXECUTE format($policy$
            CREATE POLICY worker_door ON %I USING (
                nullif(current_setting('app.org_id', true), '') IS NULL
                AND current_setting('app.worker', true) = 'portal')
        $policy$, one.tablename);
        EXECUTE format('COMMENT ON POLICY worker_door ON %I IS %L', one.tablename,
            'Who shows something to sign in with, in a statement of no organisation.');
    END LOOP;

    -- What a patient sees and changes of their own. An encounter is theirs to see when it is signed.
    FOR one IN
        SELECT * FROM (VALUES
            ('patients', 'id', 'SELECT', ''), ('patients', 'id', 'UPDATE', ''),
            ('patients_history', 'id', 'INSERT', ''),
            ('patient_index', 'patient_id', 'SELECT', ''), ('patient_index', 'patient_id', 'INSERT', ''),
            ('patient_index', 'patient_id', 'DELETE', ''),
            ('encounters', 'patient_id', 'SELECT', 'AND status = ''signed'' AND category <> ''psychotherapy-notes'''),
            ('encounter_addenda', 'patient_id', 'SELECT', 'AND EXISTS (SELECT FROM encounters e WHERE e.id = encounter_id)'),
            ('appointments', 'patient_id', 'SELECT', ''),
            ('consents', 'patient_id', 'SELECT', ''), ('consents', 'patient_id', 'INSERT', ''),
            ('consents', 'patient_id', 'UPDATE', ''),
            -- Whoever takes a consent back has their wishes looked at anew.
            ('booking_work', 'patient_id', 'SELECT', ''), ('booking_work', 'patient_id', 'UPDATE', '')
        ) AS t (tablename, patient_column, command, more)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I FOR %s %s (' || self || one.more || ')',
            'own_' || lower(one.command), one.tablename, one.command,
            CASE one.command WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END,
            one.patient_column, one.patient_column);
        EXECUTE format('COMMENT ON POLICY %I ON %I IS %L', 'own_' || lower(one.command), one.tablename,
            'Whoever is the patient.');
    END LOOP;

    -- And where every role of an organisation sees its rows, a patient sees their own.
    FOR one IN
        SELECT * FROM (VALUES ('access_log'), ('idempotency_records'), ('outbox')) AS t (tablename)
    LOOP
        EXECUTE format('CREATE POLICY own_only ON %I AS RESTRICTIVE FOR SELECT USING ('
            'current_setting(''app.role'', true) IS DISTINCT FROM ''patient'' OR (' || self || '))',
            one.tablename, 'patient_id', 'patient_id');
        EXECUTE format('COMMENT ON POLICY own_only ON %I IS %L', one.tablename, 'A patient sees their own only.');
    END LOOP;
END
$$;

-- Like enter_home, of somebody who is a patient.
CREATE FUNCTION enter_home_as_patient(org uuid, role text, purpose text, patient uuid, gate bigint, category text,
    asker uuid, at timestamptz, self uuid, OUT epoch bigint, OUT own boolean, OUT consent text, OUT glass uuid)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.self', coalesce(self::text, ''), true);
    SELECT h.epoch, h.own, h.consent, h.glass INTO epoch, own, consent, glass
    FROM public.enter_home(org, role, purpose, patient, gate, category, asker, at) h;
END
$$;
COMMENT ON FUNCTION enter_home_as_patient IS 'Sets who the patient is that acts, and then what enter_home does.';

-- Who shows a session that goes on. Says nothing of one that does not. It is noted once a minute that it was shown.
CREATE FUNCTION portal_session(secret bytea, at timestamptz, OUT session uuid, OUT login uuid, OUT patient uuid, OUT org uuid)
LANGUAGE plpgsql AS $$
DECLARE
    seen timestamptz;
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'portal', true);
    SELECT s.id, a.id, s.patient_id, s.org_id, s.seen_at INTO session, login, patient, org, seen
    FROM public.portal_sessions s
    JOIN public.portal_accounts a ON a.patient_id = s.patient_id AND a.suspended_at IS NULL
    JOIN public.patient_home h ON h.patient_id = s.patient_id AND h.state = 'active'
    WHERE s.secret_sha256 = secret AND s.ends_at > at AND s.seen_at > at - interval '30 minutes';
    IF seen < at - interval '1 minute' THEN
        UPDATE public.portal_sessions s SET seen_at = at WHERE s.id = session;
    END IF;
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION portal_session IS 'Who shows a session that goes on.';

-- What signs somebody in who names an organisation and gives an address, or whose login it is.
CREATE FUNCTION portal_login(tenant uuid, address bytea, known uuid, OUT login uuid, OUT patient uuid, OUT org uuid,
    OUT memory_kib integer, OUT passes integer, OUT lanes integer, OUT salt bytea, OUT hash bytea,
    OUT not_before timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'portal', true);
    SELECT a.id, a.patient_id, a.org_id, a.password_memory_kib, a.password_passes, a.password_lanes, a.password_salt,
        a.password_hash, a.not_before
    INTO login, patient, org, memory_kib, passes, lanes, salt, hash, not_before
    FROM public.portal_accounts a
    JOIN public.patient_home h ON h.patient_id = a.patient_id AND h.state = 'active'
    WHERE ((a.org_id = tenant AND a.email_blind = address) OR a.id = known) AND a.suspended_at IS NULL;
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION portal_login IS 'What signs in whoever gives this address at this organisation, or has this login.';

-- Counts a failure. From the fifth in a row on, the next attempt waits for 30 seconds, doubling to a quarter of an hour; a
-- failure during that makes it no longer.
CREATE FUNCTION portal_failed(failed uuid, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'portal', true);
    UPDATE public.portal_accounts a
    SET failures = a.failures + 1,
        not_before = CASE WHEN a.failures >= 4
            THEN at + least(interval '15 minutes', interval '30 seconds' * power(2, least(a.failures - 4, 8))) END
    WHERE a.id = failed AND (a.not_before IS NULL OR a.not_before <= at);
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION portal_failed IS 'Counts a failed sign-in of a patient.';

-- Who is invited with this code, if it is open; it has one attempt less then.
CREATE FUNCTION portal_invited(code bytea, at timestamptz, OUT patient uuid, OUT org uuid) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'portal', true);
    UPDATE public.portal_invitations i
    SET attempts_left = i.attempts_left - 1
    WHERE i.code_sha256 = code AND i.expires_at > at AND i.attempts_left > 0
    RETURNING i.patient_id, i.org_id INTO patient, org;
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION portal_invited IS 'Who is invited with a code, which costs it an attempt.';

-- Ends a session, by what is shown.
CREATE FUNCTION portal_signed_out(secret bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'portal', true);
    DELETE FROM public.portal_sessions s WHERE s.secret_sha256 = secret;
    PERFORM set_config('app.worker', '', true);
END
$$;
COMMENT ON FUNCTION portal_signed_out IS 'Ends the session of a patient.';

-- Whoever is removed from view, or lives here no longer, has no login here.
CREATE FUNCTION end_login_of_removed() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    DELETE FROM portal_sessions WHERE org_id = NEW.org_id AND patient_id = NEW.id;
    DELETE FROM portal_accounts WHERE org_id = NEW.org_id AND patient_id = NEW.id;
    DELETE FROM portal_invitations WHERE org_id = NEW.org_id AND patient_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER patients_end_login AFTER UPDATE OF deleted_at ON patients FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION end_login_of_removed();

CREATE FUNCTION end_login_of_retired() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    PERFORM set_config('app.org_id', '', true), set_config('app.worker', 'portal', true);
    DELETE FROM portal_sessions WHERE patient_id = NEW.patient_id;
    DELETE FROM portal_accounts WHERE patient_id = NEW.patient_id;
    DELETE FROM portal_invitations WHERE patient_id = NEW.patient_id;
    PERFORM set_config('app.worker', '', true);
    RETURN NULL;
END
$$;
CREATE TRIGGER patient_home_end_login AFTER UPDATE OF state ON patient_home FOR EACH ROW
    WHEN (NEW.state = 'retired') EXECUTE FUNCTION end_login_of_retired();
