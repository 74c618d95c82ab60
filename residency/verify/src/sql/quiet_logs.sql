-- What is set so that a value of a row or of a parameter could reach the server's log, one line each: for the two roles of
-- the program, whatever was set for the role, for the database, for both, or for the server.
WITH wanted (name, allowed) AS (VALUES
    ('log_statement', '{none}'), ('log_min_error_statement', '{panic}'), ('log_error_verbosity', '{terse}'),
    ('log_parameter_max_length', '{0}'), ('log_parameter_max_length_on_error', '{0}'),
    ('log_min_duration_statement', '{-1}'), ('log_min_duration_sample', '{-1}'), ('log_transaction_sample_rate', '{0}'),
    ('log_temp_files', '{-1}'), ('debug_print_parse', '{off}'), ('debug_print_rewritten', '{off}'),
    ('debug_print_plan', '{off}'), ('session_preload_libraries', '{""}'), ('local_preload_libraries', '{""}'),
    ('shared_preload_libraries', '{""}'), ('track_functions', '{none}'), ('jit_dump_bitcode', '{off}'),
    ('trace_sort', '{off}')),
set_for AS (
    SELECT s.setrole, s.setdatabase, split_part(one, '=', 1) AS name, substr(one, strpos(one, '=') + 1) AS value
    FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) one
    WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))),
effective AS (
    SELECT r.rolname, w.name, w.allowed::text[] AS allowed, coalesce(
        (SELECT f.value FROM set_for f WHERE f.name = w.name AND f.setrole IN (0, r.oid)
         ORDER BY f.setrole = 0, f.setdatabase = 0 LIMIT 1),
        (SELECT p.reset_val FROM pg_settings p WHERE p.name = w.name)) AS value
    FROM wanted w CROSS JOIN pg_roles r WHERE r.rolname IN ('domicile_app', 'domicile_owner'))
SELECT name || ' is ' || value || ' for ' || rolname FROM effective WHERE NOT value = ANY (allowed)
UNION ALL
SELECT name || ' is ' || value || ' for every role but those of the program' FROM set_for
WHERE setrole = 0 AND name LIKE 'auto\_explain.%'
UNION ALL
SELECT 'the role ' || rolname || ' is not there' FROM (VALUES ('domicile_app'), ('domicile_owner')) AS t (rolname)
WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = t.rolname)
ORDER BY 1
