-- What stands between a mistake in the program and the rows, one line each.
SELECT 'rows of ' || c.relname || ': owner ' || pg_get_userbyid(c.relowner)
       || ', row security ' || CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'forced'
                                    WHEN c.relrowsecurity THEN 'not forced' ELSE 'off' END
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'grant on ' || c.relname || ': ' || string_agg(
           CASE WHEN a.grantee = 0 THEN 'everybody' ELSE pg_get_userbyid(a.grantee) END || ' ' || a.privilege_type
           || CASE WHEN a.is_grantable THEN ' and may grant it' ELSE '' END,
           ', ' ORDER BY a.grantee::text COLLATE "C", a.privilege_type COLLATE "C")
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'S') AND a.grantee <> c.relowner
GROUP BY c.relname
UNION ALL
SELECT 'grant on ' || c.relname || '.' || t.attname || ': '
       || CASE WHEN a.grantee = 0 THEN 'everybody' ELSE pg_get_userbyid(a.grantee) END || ' ' || a.privilege_type
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger ' || t.tgname || ' on ' || c.relname || ' calls ' || p.proname || ', '
       || CASE t.tgenabled WHEN 'A' THEN 'always' WHEN 'O' THEN 'enabled' WHEN 'R' THEN 'only on a replica'
                           ELSE 'disabled' END || ', kind ' || t.tgtype
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'policy ' || policyname || ' on ' || tablename || ': ' || lower(permissive) || ', ' || lower(cmd) || ', for '
       || array_to_string(roles, ' ')
       || CASE WHEN coalesce(qual, '') || coalesce(with_check, '') ~ 'current_setting\(|purpose <>|EXISTS' THEN ''
               ELSE ', asks nothing' END
FROM pg_policies WHERE schemaname = 'public'
UNION ALL
SELECT 'function ' || p.proname || ' may be called by everybody'
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')
UNION ALL
SELECT 'referential triggers of ' || c.relname || ' are disabled'
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgisinternal AND t.tgenabled <> 'O'
UNION ALL
SELECT 'role ' || rolname || ' has' || CASE WHEN rolsuper THEN ' SUPERUSER' ELSE '' END
       || CASE WHEN rolbypassrls THEN ' BYPASSRLS' ELSE '' END || CASE WHEN rolcreaterole THEN ' CREATEROLE' ELSE '' END
       || CASE WHEN rolreplication THEN ' REPLICATION' ELSE '' END
FROM pg_roles
WHERE oid >= 16384 AND rolname <> current_user AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication)
UNION ALL
SELECT 'role ' || pg_get_userbyid(member) || ' is a member of ' || pg_get_userbyid(roleid)
FROM pg_auth_members
WHERE member >= 16384 AND pg_get_userbyid(member) <> current_user
UNION ALL
SELECT 'the auditor may write to ' || c.relname
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND has_table_privilege(current_user, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
ORDER BY 1
