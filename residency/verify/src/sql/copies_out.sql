-- Every way in which this server could hand rows to another one, one line each. Nothing is as it should be.
SELECT 'replication slot ' || slot_name || ' (' || slot_type || ')' FROM pg_replication_slots
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription
UNION ALL SELECT 'foreign-data wrapper ' || fdwname FROM pg_foreign_data_wrapper
UNION ALL SELECT 'foreign server ' || srvname FROM pg_foreign_server
UNION ALL SELECT 'user mapping of ' || usename || ' on ' || srvname FROM pg_user_mappings
UNION ALL SELECT 'foreign table ' || ftrelid::regclass FROM pg_foreign_table
UNION ALL SELECT 'extension ' || extname FROM pg_extension
    WHERE extname IN ('dblink', 'postgres_fdw', 'file_fdw', 'pg_cron', 'http', 'pg_net', 'pglogical', 'wal2json',
                      'aws_s3', 'aws_lambda', 'azure_storage', 'plpython3u', 'plperlu', 'pltclu', 'plsh', 'multicorn',
                      'oracle_fdw', 'mysql_fdw', 'tds_fdw', 'adminpack')
UNION ALL SELECT 'untrusted language ' || lanname FROM pg_language
    WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')
UNION ALL SELECT 'wal_level is logical' FROM pg_settings WHERE name = 'wal_level' AND setting = 'logical'
UNION ALL SELECT 'a process that receives the write-ahead log: ' || coalesce(nullif(application_name, ''), 'unnamed')
    FROM pg_stat_replication
UNION ALL SELECT 'this server follows another one' WHERE pg_is_in_recovery()
UNION ALL SELECT 'role ' || r.rolname || ' may run programs, or read or write files of the server'
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
    WHERE g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
ORDER BY 1
