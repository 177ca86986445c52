-- +goose NO TRANSACTION
-- Who dies in the middle leaves a part behind: the next goes on with it.

-- +goose Up
CREATE TABLE IF NOT EXISTS refrain_meta (
	name  VARBINARY(32)  NOT NULL PRIMARY KEY,
	value VARBINARY(255) NOT NULL
) ENGINE = InnoDB;

-- Operations that run, that are unknown, and for a while those that were released (state 0), so that their fences grow. All
-- times are microseconds since 1970.
CREATE TABLE IF NOT EXISTS refrain_live (
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
CREATE TABLE IF NOT EXISTS refrain_done (
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
CREATE TABLE IF NOT EXISTS refrain_outcomes (
	fence  BIGINT UNSIGNED NOT NULL,
	bucket BIGINT          NOT NULL,
	record LONGBLOB        NOT NULL,
	PRIMARY KEY (fence, bucket)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC PARTITION BY LIST (bucket) (PARTITION p0 VALUES IN (0));

-- Nothing is kept here for long: what counts is the counter behind it.
CREATE TABLE IF NOT EXISTS refrain_fences (
	n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY
) ENGINE = InnoDB;

-- The positions of what is sent together.
CREATE TABLE IF NOT EXISTS refrain_numbers (
	n SMALLINT UNSIGNED NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

INSERT IGNORE INTO refrain_numbers
WITH RECURSIVE r (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 15) SELECT 16 * a.n + b.n FROM r a CROSS JOIN r b;

-- Claims of new operations, and finishes of claims, in one transaction: of the claims those that can be won, of the finishes
-- all or, with the claims, nothing. What is sent are columns, one behind the other: first the IDs of all claims, then their tokens,
-- and so on, in the order of the IDs; times and numbers are decimal. A claim takes 100 bytes, a finish 226; the outcomes are in
-- records. The answer is the time, the first fence, how many claims were won and how many finishes found theirs, and the
-- positions of the claims that were won, unless all were.
--
-- It is a procedure because the server then parses it once: more than a third of the work would otherwise be that. Columns have
-- variables of their own because the server writes the value of a variable into a statement's text wherever it stands in it.
-- +goose StatementBegin
CREATE PROCEDURE IF NOT EXISTS refrain_group(claims LONGBLOB, finishes LONGBLOB, records LONGBLOB)
	MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
	DECLARE at_us, base, won, moved BIGINT DEFAULT 0;
	DECLARE c INT DEFAULT COALESCE(LENGTH(claims), 0) DIV 100;
	DECLARE f INT DEFAULT COALESCE(LENGTH(finishes), 0) DIV 226;
	DECLARE ids, tokens, prints, leases LONGBLOB;
	DECLARE fences, created_us, retentions, lives, dones, kepts, places LONGBLOB;
	DECLARE lost, mine TEXT CHARACTER SET ascii;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION
	BEGIN
		ROLLBACK;
		RESIGNAL;
	END;
	START TRANSACTION;
	SET at_us = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6));
	IF c > 0 THEN
		SET ids = SUBSTR(claims, 1, 32 * c), tokens = SUBSTR(claims, 32 * c + 1, 16 * c);
		SET prints = SUBSTR(claims, 48 * c + 1, 32 * c), leases = SUBSTR(claims, 80 * c + 1, 20 * c);
		INSERT INTO refrain_fences () VALUES ();
		SET base = LAST_INSERT_ID() * 1024;
		-- What others can see is left out before anything is locked: nobody waits for the lock of a row that is being finished in
		-- a caller's transaction.
		INSERT IGNORE INTO refrain_live (id, state, token, fence, fingerprint, created, lease)
		SELECT STRAIGHT_JOIN SUBSTR(ids, n * 32 + 1, 32), 1, SUBSTR(tokens, n * 16 + 1, 16), base + n,
			SUBSTR(prints, n * 32 + 1, 32), at_us, at_us + CAST(SUBSTR(leases, n * 20 + 1, 20) AS SIGNED)
		FROM refrain_numbers LEFT JOIN refrain_live l FORCE INDEX (PRIMARY) ON l.id = SUBSTR(ids, n * 32 + 1, 32)
		WHERE n < c AND l.id IS NULL;
		SET won = ROW_COUNT();
		-- Those of what is done are taken back, now that nobody else can finish it meanwhile, and so are those whose fence was
		-- overtaken. Which they are is found without locks.
		SELECT GROUP_CONCAT(n) INTO lost
		FROM refrain_numbers STRAIGHT_JOIN refrain_done d FORCE INDEX (PRIMARY) ON d.id = SUBSTR(ids, n * 32 + 1, 32)
			STRAIGHT_JOIN refrain_live l FORCE INDEX (PRIMARY) ON l.id = d.id AND l.fence = base + n
		WHERE n < c AND (d.forget > at_us OR d.fence > l.fence);
		IF lost IS NOT NULL THEN
			DELETE l
			FROM refrain_numbers STRAIGHT_JOIN refrain_live l FORCE INDEX (PRIMARY)
				ON l.id = SUBSTR(ids, n * 32 + 1, 32) AND l.fence = base + n
			WHERE n < c AND FIND_IN_SET(n, lost);
			SET won = won - ROW_COUNT();
		END IF;
		IF won < c THEN
			SELECT GROUP_CONCAT(n) INTO mine
			FROM refrain_numbers STRAIGHT_JOIN refrain_live l FORCE INDEX (PRIMARY)
				ON l.id = SUBSTR(ids, n * 32 + 1, 32) AND l.fence = base + n
			WHERE n < c;
		END IF;
	END IF;
	IF f > 0 THEN
		SET ids = SUBSTR(finishes, 1, 32 * f), fences = SUBSTR(finishes, 32 * f + 1, 20 * f);
		DELETE l
		FROM refrain_numbers STRAIGHT_JOIN refrain_live l FORCE INDEX (PRIMARY)
			ON l.id = SUBSTR(ids, n * 32 + 1, 32) AND l.fence = CAST(SUBSTR(fences, n * 20 + 1, 20) AS UNSIGNED)
		WHERE n < f AND l.state <> 0;
		SET moved = ROW_COUNT();
	END IF;
	IF moved < f THEN
		ROLLBACK;
	ELSE
		IF f > 0 THEN
			SET tokens = SUBSTR(finishes, 52 * f + 1, 16 * f), prints = SUBSTR(finishes, 68 * f + 1, 32 * f);
			SET created_us = SUBSTR(finishes, 100 * f + 1, 20 * f), retentions = SUBSTR(finishes, 120 * f + 1, 20 * f);
			SET lives = SUBSTR(finishes, 140 * f + 1, 20 * f), dones = SUBSTR(finishes, 160 * f + 1, 22 * f);
			SET kepts = SUBSTR(finishes, 182 * f + 1, 22 * f), places = SUBSTR(finishes, 204 * f + 1, 22 * f);
			INSERT INTO refrain_done (id, fence, token, fingerprint, created, settled, retain, forget, bucket, kept)
			SELECT SUBSTR(ids, n * 32 + 1, 32), CAST(SUBSTR(fences, n * 20 + 1, 20) AS UNSIGNED), SUBSTR(tokens, n * 16 + 1, 16),
				SUBSTR(prints, n * 32 + 1, 32), CAST(SUBSTR(created_us, n * 20 + 1, 20) AS SIGNED), at_us,
				at_us + CAST(SUBSTR(retentions, n * 20 + 1, 20) AS SIGNED), at_us + CAST(SUBSTR(lives, n * 20 + 1, 20) AS SIGNED),
				(at_us + CAST(SUBSTR(lives, n * 20 + 1, 20) AS SIGNED)) DIV CAST(SUBSTR(dones, n * 22 + 1, 20) AS SIGNED) * 64
					+ CAST(SUBSTR(dones, n * 22 + 21, 2) AS SIGNED),
				(at_us + CAST(SUBSTR(retentions, n * 20 + 1, 20) AS SIGNED)) DIV CAST(SUBSTR(kepts, n * 22 + 1, 20) AS SIGNED) * 64
					+ CAST(SUBSTR(kepts, n * 22 + 21, 2) AS SIGNED)
			FROM refrain_numbers WHERE n < f;
			INSERT INTO refrain_outcomes (fence, bucket, record)
			SELECT CAST(SUBSTR(fences, n * 20 + 1, 20) AS UNSIGNED),
				(at_us + CAST(SUBSTR(retentions, n * 20 + 1, 20) AS SIGNED)) DIV CAST(SUBSTR(kepts, n * 22 + 1, 20) AS SIGNED) * 64
					+ CAST(SUBSTR(kepts, n * 22 + 21, 2) AS SIGNED),
				SUBSTR(records, CAST(SUBSTR(places, n * 22 + 1, 11) AS SIGNED), CAST(SUBSTR(places, n * 22 + 12, 11) AS SIGNED))
			FROM refrain_numbers WHERE n < f;
		END IF;
		COMMIT;
	END IF;
	SELECT at_us, base, won, moved, mine;
END;
-- +goose StatementEnd

-- +goose Down
DROP PROCEDURE IF EXISTS refrain_group;
DROP TABLE IF EXISTS refrain_numbers;
DROP TABLE IF EXISTS refrain_fences;
DROP TABLE IF EXISTS refrain_outcomes;
DROP TABLE IF EXISTS refrain_done;
DROP TABLE IF EXISTS refrain_live;
DROP TABLE IF EXISTS refrain_meta;
