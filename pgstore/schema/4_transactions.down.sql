DROP FUNCTION settle_tx;
