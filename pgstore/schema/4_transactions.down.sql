DROP FUNCTION settle_tx, us;
