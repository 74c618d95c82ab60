DROP FUNCTION consent_withheld;
DROP FUNCTION enter_home;
