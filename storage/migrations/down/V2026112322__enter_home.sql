DROP FUNCTION enter_home;
