-- Row-level security, forced: it holds for the tables' owner too. Without an organisation, a purpose and a role that
-- has to do with the table nothing is visible. A transaction on a patient sets app.patient_id and sees that patient
-- only; a list or a search sets it to 'any'. The settings are local to the transaction, so a pooled connection carries
-- none into the next.
--
-- The roles are the outer line of node-access' table, below it: a handler that forgot to ask shows a marketer nothing.
-- Who may read and write comes first; who may only read has a policy for SELECT alone. Nobody reads patients_history
-- yet; its roles are those whose changes the trigger keeps.

DO $$
DECLARE
    one  record;
    base text;
BEGIN
    FOR one IN
        SELECT * FROM (VALUES
            ('patients', 'id', '{provider,provider_staff,org_admin}', '{auditor}'),
            ('patients_history', 'id', '{provider,provider_staff,org_admin}', NULL),
            ('patient_index', 'patient_id', '{provider,provider_staff,org_admin}', NULL),
            ('encounters', 'patient_id', '{provider}', '{provider_staff,auditor}'),
            ('encounter_addenda', 'patient_id', '{provider}', NULL)
        ) AS t (tablename, patient_column, changed_by, read_by)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one.tablename);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one.tablename);
        -- CASE, because a cast of 'any' to uuid must never be evaluated.
        base := format($base$
                org_id = nullif(current_setting('app.org_id', true), '')::uuid
                AND nullif(current_setting('app.purpose', true), '') IS NOT NULL
                AND CASE nullif(current_setting('app.patient_id', true), '')
                    WHEN 'any' THEN true
                    ELSE %I = nullif(current_setting('app.patient_id', true), '')::uuid
                    END
                AND current_setting('app.role', true) = ANY
            $base$, one.patient_column);
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

    FOR one IN
        SELECT * FROM (VALUES ('access_log'), ('idempotency_records'), ('outbox')) AS t (tablename)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one.tablename);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one.tablename);
        EXECUTE format($policy$
            CREATE POLICY org_purpose ON %1$I
            USING (
                org_id = nullif(current_setting('app.org_id', true), '')::uuid
                AND nullif(current_setting('app.purpose', true), '') IS NOT NULL)
        $policy$, one.tablename);
        EXECUTE format('COMMENT ON POLICY org_purpose ON %I IS %L', one.tablename,
            'Own organisation and a purpose.');
    END LOOP;

    -- Housekeeping is no organisation's. By age only, and the age is the server's, so no mistake in what the node
    -- asks for deletes an answer that may still be repeated. Two policies: a DELETE with a condition also reads.
    FOR one IN SELECT * FROM (VALUES ('SELECT', 'see'), ('DELETE', 'delete')) AS t (command, word)
    LOOP
        EXECUTE format($policy$
            CREATE POLICY purge_old_%1$s ON idempotency_records FOR %2$s
            USING (
                nullif(current_setting('app.org_id', true), '') IS NULL
                AND created_at < now() - interval '72 hours'
                AND created_at < nullif(current_setting('app.purge_before', true), '')::timestamptz)
        $policy$, one.word, one.command);
        EXECUTE format('COMMENT ON POLICY purge_old_%s ON idempotency_records IS %L', one.word,
            'The purge of answers older than 72 hours, in a transaction of no organisation.');
    END LOOP;
END
$$;
