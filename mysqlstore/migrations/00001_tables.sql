-- +goose NO TRANSACTION

-- +goose Up
CREATE TABLE refrain_meta (
	name  VARBINARY(32)  NOT NULL PRIMARY KEY,
	value VARBINARY(255) NOT NULL
) ENGINE = InnoDB;

-- Operations that run, that are unknown, and for a while those that were released (state 0), so that their fences grow. All
-- times are microseconds since 1970.
CREATE TABLE refrain_live (
	id          BINARY(32)       NOT NULL PRIMARY KEY,
	state       TINYINT UNSIGNED NOT NULL,
	token       BINARY(16)       NOT NULL,
	fence       BIGINT UNSIGNED  NOT NULL,
	fingerprint BINARY(32)       NOT NULL,
	created     BIGINT           NOT NULL,
	lease       BIGINT           NOT NULL,
	answer      LONGBLOB         NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- Operations that are done. An operation is here or in refrain_live, never in both. A partition holds those that are forgotten
-- by the same time, and is dropped then.
CREATE TABLE refrain_done (
	id          BINARY(32)      NOT NULL,
	bucket      BIGINT          NOT NULL,
	fence       BIGINT UNSIGNED NOT NULL,
	token       BINARY(16)      NOT NULL,
	fingerprint BINARY(32)      NOT NULL,
	created     BIGINT          NOT NULL,
	settled     BIGINT          NOT NULL,
	retain      BIGINT          NOT NULL,
	forget      BIGINT          NOT NULL,
	kept        BIGINT          NOT NULL,
	PRIMARY KEY (id, bucket, fence)
) ENGINE = InnoDB PARTITION BY LIST (bucket) (PARTITION p0 VALUES IN (0));

-- Their outcomes, in partitions by the end of the retention: the kept of refrain_done is the bucket here.
CREATE TABLE refrain_outcomes (
	fence  BIGINT UNSIGNED NOT NULL,
	bucket BIGINT          NOT NULL,
	record LONGBLOB        NOT NULL,
	PRIMARY KEY (fence, bucket)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC PARTITION BY LIST (bucket) (PARTITION p0 VALUES IN (0));

-- Nothing is kept here for long: what counts is the counter behind it.
CREATE TABLE refrain_fences (
	n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE IF EXISTS refrain_fences;
DROP TABLE IF EXISTS refrain_outcomes;
DROP TABLE IF EXISTS refrain_done;
DROP TABLE IF EXISTS refrain_live;
DROP TABLE IF EXISTS refrain_meta;
