DROP FUNCTION sweep, close_bucket, open_bucket;
