DROP VIEW known, all_of_outcome, all_of_done;
DROP FUNCTION behind;
DROP TABLE bucket, outcome, done, live;
DROP SEQUENCE fence;
DROP TABLE identity;
