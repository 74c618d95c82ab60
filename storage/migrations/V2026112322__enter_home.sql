-- What a decision depends on and only the home knows, read with the fence: in the same statement, and in the snapshot
-- of what is asked next or an earlier one of the same transaction.

-- Who acts, for row-level security, and the fence, as in enter_transaction. A gate that is null is of a read, which
-- locks nothing. Then, of a patient: the last words on consent for this purpose, to this organisation, of this category
-- (a general word counts for every category), and the grant under which the caller broke the glass, if it lives.
-- `own` says whether the caller's organisation has such a patient; asked only where a refusal may follow, since a
-- refusal with its reason is for those who may know of the patient.
-- A function of plpgsql, because its statements are done in their order: what row-level security reads is set before.
CREATE FUNCTION enter_home(org uuid, role text, purpose text, patient uuid, gate bigint, category text, asker uuid,
    at timestamptz, OUT epoch bigint, OUT own boolean, OUT consent text, OUT glass uuid)
LANGUAGE plpgsql AS $$
DECLARE
    revoked  bigint;
    specific bigint;
    general  bigint;
BEGIN
    IF gate IS NOT NULL OR patient IS NULL THEN
        epoch := public.enter_transaction(org, role, purpose, patient, gate);
    ELSE
        PERFORM set_config('app.org_id', org::text, true), set_config('app.role', role, true),
            set_config('app.purpose', purpose, true), set_config('app.patient_id', patient::text, true);
        SELECT h.epoch INTO epoch FROM public.patient_home h
        WHERE h.patient_id = patient AND h.state = 'active';
    END IF;
    IF patient IS NULL THEN
        RETURN;
    END IF;
    SELECT max(c.revoked_word),
        max(c.granted_word) FILTER (WHERE c.category = enter_home.category),
        max(c.granted_word) FILTER (WHERE c.category = 'general')
    INTO revoked, specific, general
    FROM (
        SELECT o.category, o.revoked_word,
            CASE WHEN o.revoked_word IS NULL AND o.granted_at <= enter_home.at
                AND (o.expires_at IS NULL OR o.expires_at > enter_home.at) THEN o.granted_word END AS granted_word
        FROM public.consents o
        WHERE o.org_id = org AND o.patient_id = patient AND o.grantee_org_id = org
            AND o.purpose = enter_home.purpose AND o.category IN (enter_home.category, 'general')) c;
    consent := CASE
        WHEN specific > coalesce(revoked, 0) THEN 'specific'
        WHEN general > coalesce(revoked, 0) THEN 'general'
        WHEN revoked IS NOT NULL THEN 'revoked'
        ELSE 'none'
    END;
    IF purpose IN ('ETREAT', 'BTG') THEN
        SELECT g.id INTO glass FROM public.break_glass_grants g
        WHERE g.org_id = org AND g.patient_id = patient AND g.key_id = asker AND g.role = enter_home.role
            AND g.purpose = enter_home.purpose AND enter_home.category = ANY (g.categories)
            AND g.granted_at <= enter_home.at AND g.expires_at > enter_home.at
        ORDER BY g.expires_at DESC LIMIT 1;
    ELSIF consent <> 'revoked' AND category = 'general' THEN
        RETURN;
    END IF;
    own := EXISTS (SELECT FROM public.patients p WHERE p.id = patient AND p.org_id = org AND p.deleted_at IS NULL);
END
$$;
COMMENT ON FUNCTION enter_home IS 'Sets who acts, takes or reads the fence of a patient, and says what the home knows that a decision depends on.';

-- Of a list: whether the caller's organisation may not be shown this patient for the purpose of the transaction, because
-- the last word of the general category was a revocation.
CREATE FUNCTION consent_withheld(org uuid, patient uuid, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM public.consents c
        WHERE c.org_id = org AND c.patient_id = patient AND c.grantee_org_id = org AND c.category = 'general'
            AND c.purpose = current_setting('app.purpose', true)
        HAVING max(c.revoked_word) > coalesce(max(c.granted_word) FILTER (
            WHERE c.revoked_word IS NULL AND c.granted_at <= consent_withheld.at
                AND (c.expires_at IS NULL OR c.expires_at > consent_withheld.at)), 0));
END
$$;
COMMENT ON FUNCTION consent_withheld IS 'Whether a patient took back the general consent to the purpose of the transaction.';
