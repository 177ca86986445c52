DROP FUNCTION find, renew, settle, claim, us, bucket_ends, bucket_among, bucket_at, check_store, fit;
DROP TYPE sighting;
DROP FUNCTION clock;
