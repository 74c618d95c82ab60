DROP FUNCTION purge_answers(timestamptz, bigint);
DROP TABLE outbox;
DROP TABLE idempotency_records;
DROP TABLE access_log;
DROP FUNCTION refuse_change_of_log();
