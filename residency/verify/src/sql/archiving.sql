-- Where the write-ahead log is copied to, if anywhere.
SELECT 'archive_mode is ' || setting FROM pg_settings WHERE name = 'archive_mode' AND setting <> 'off'
UNION ALL
SELECT name || ' is set' FROM pg_settings WHERE name IN ('archive_command', 'archive_library')
    AND setting NOT IN ('', '(disabled)')
ORDER BY 1
