DROP FUNCTION find_attempt;
DROP FUNCTION enter_transaction;
