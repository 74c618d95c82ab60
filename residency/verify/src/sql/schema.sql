-- Everything that is in the database and was not there when Postgres made it, one line each.
SELECT 'table ' || c.relname || ': ' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
GROUP BY c.relname
UNION ALL
SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialised view ' WHEN 'f' THEN 'foreign table '
                      WHEN 'S' THEN 'sequence ' ELSE 'relation ' END || c.relname
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm', 'f', 'S')
UNION ALL
SELECT 'function ' || p.proname || '(' || p.pronargs || ') ' || md5(p.prosrc)
       || CASE WHEN p.prosecdef THEN ' with the rights of its owner' ELSE '' END
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'extension ' || extname FROM pg_extension
UNION ALL
SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname NOT IN ('public', 'information_schema') AND nspname NOT LIKE 'pg\_%'
UNION ALL
SELECT 'event trigger ' || evtname FROM pg_event_trigger
UNION ALL
SELECT 'rewrite rule ' || rulename || ' on ' || ev_class::regclass FROM pg_rewrite
WHERE oid >= 16384 AND rulename <> '_RETURN'
UNION ALL
SELECT 'language ' || lanname FROM pg_language WHERE oid >= 16384 AND lanname <> 'plpgsql'
UNION ALL
SELECT 'large object ' || oid FROM pg_largeobject_metadata
ORDER BY 1
