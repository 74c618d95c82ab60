DROP TABLE consents;
DROP FUNCTION keep_consent();
DROP SEQUENCE consent_words;
