-- What the auditor's role may not see and so cannot vouch for.
SELECT 'the setting ' || name FROM (VALUES ('shared_preload_libraries'), ('session_preload_libraries'), ('archive_command'))
    AS t (name)
WHERE NOT EXISTS (SELECT FROM pg_settings p WHERE p.name = t.name)
UNION ALL
SELECT 'the rows of ' || c.relname
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (NOT has_table_privilege(current_user, c.oid, 'SELECT')
       OR (c.relrowsecurity AND NOT (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user)))
ORDER BY 1
