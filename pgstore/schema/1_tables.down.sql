DROP VIEW known;
DROP TABLE bucket, outcome, done, live;
DROP SEQUENCE fence;
DROP TABLE identity;
