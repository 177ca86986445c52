-- One row: what all processes on the file share.
CREATE TABLE refrain_store (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL,  -- of this schema
  secret  BLOB    NOT NULL,
  fence   INTEGER NOT NULL,  -- the greatest that was ever handed out
  clock   INTEGER NOT NULL   -- the latest time at which anything was written, in microseconds since 1970
) STRICT;

CREATE TABLE refrain_operations (
  id     BLOB    NOT NULL UNIQUE,
  due    INTEGER,            -- when something is to be forgotten, in microseconds since 1970; NULL while it is not done
  head   BLOB    NOT NULL,   -- the record without its outcome
  record BLOB                -- the record with its outcome, if it has one
) STRICT;

CREATE INDEX refrain_due ON refrain_operations (due) WHERE due IS NOT NULL;

CREATE INDEX refrain_open ON refrain_operations (id) WHERE due IS NULL;
