-- What writers and the purge call. They take the place of those of an older version: a migration
-- runs this, too.

-- Make the partition of this kind that holds the second, and the one after it, where they are
-- missing. It is made apart and then attached: that makes no writer and no reader wait. Two who make
-- them do so one after the other, by the lock that attaching takes anyway. Others hold that, too, and
-- not always for a moment (a batch that has made one, until its COMMIT; ANALYZE of the whole table; a
-- purge that ends a DETACH): so only who has no partition at all waits for it, and what comes next is
-- tried again by the next batch.
CREATE OR REPLACE FUNCTION monitor.make_partitions(kind text, second bigint, length bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	begins bigint := second - second % length;
	name text;
BEGIN
	BEGIN
		EXECUTE format('LOCK TABLE ONLY monitor.%I IN SHARE UPDATE EXCLUSIVE MODE NOWAIT', kind);
	EXCEPTION WHEN lock_not_available THEN
		IF to_regclass('monitor.' || monitor.partition_name(kind, begins)) IS NOT NULL THEN
			RETURN;
		END IF;
		EXECUTE format('LOCK TABLE ONLY monitor.%I IN SHARE UPDATE EXCLUSIVE MODE', kind);
	END;
	FOR i IN 1..2 LOOP
		name := monitor.partition_name(kind, begins);
		-- (to_regclass() may remember how it was before the lock.)
		IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'monitor'::regnamespace AND relname = name) THEN
			EXECUTE format('CREATE TABLE monitor.%I (LIKE monitor.%I INCLUDING ALL)', name, kind);
			EXECUTE format('ALTER TABLE monitor.%I ATTACH PARTITION monitor.%I FOR VALUES FROM (%s) TO (%s)',
				kind, name, monitor.arrival_of(begins), monitor.arrival_of(begins + length));
		END IF;
		begins := begins + length;
	END LOOP;
END $$;

-- Those that are due now. This is all that a writer may make.
CREATE OR REPLACE FUNCTION monitor.make_due_partitions() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	second bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
	PERFORM monitor.make_partitions('log', second, log_interval),
		monitor.make_partitions('notification', second, notification_interval) FROM monitor.store;
END $$;

-- The first arrival for a new batch: up to 262144 records may have it and what follows.
-- Sees to it that there are partitions for it, and for what comes next. A clock that is not set yet would
-- have records come before all others, and be purged as too old: writers wait until it is.
CREATE OR REPLACE FUNCTION monitor.reserve() RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	second bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
	IF second NOT BETWEEN 1577836800 AND 3725320447 THEN   -- 2020 to 2088
		RAISE EXCEPTION 'the clock of the server says %', clock_timestamp() USING ERRCODE = 'cannot_connect_now';
	END IF;
	IF EXISTS (SELECT FROM monitor.store,
			LATERAL (VALUES ('log', log_interval), ('notification', notification_interval)) AS k (kind, length),
			generate_series(0, 1) AS ahead
			WHERE to_regclass('monitor.' || monitor.partition_name(kind,
				second - second % length + ahead * length)) IS NULL) THEN
		PERFORM monitor.make_due_partitions();
		second := floor(extract(epoch FROM clock_timestamp()));
	END IF;
	RETURN monitor.arrival_of(second) + (nextval('monitor.serial') << 18);
END $$;

-- One row, written in the server's present run: recovery from a crash leaves nothing of what is unlogged,
-- nor does a base backup hold it; in a dump that was restored another transaction wrote it.
DO $$
BEGIN
	IF to_regclass('monitor.run') IS NULL THEN
		CREATE UNLOGGED TABLE monitor.run (writer xid8 NOT NULL DEFAULT pg_current_xact_id());
		INSERT INTO monitor.run DEFAULT VALUES;
		-- (A superuser may migrate what is another's.)
		EXECUTE (SELECT format('ALTER TABLE monitor.run OWNER TO %I', pg_get_userbyid(relowner))
			FROM pg_class WHERE oid = 'monitor.batch'::regclass);
	END IF;
END $$;

-- The last act of a batch of `records`, right before its COMMIT: its place in the order of
-- commits, which is kept until it is committed. Followers wake up. (A writer itself may not
-- touch that order.) The lock is one that nobody else can hold for long: an advisory lock would be
-- anyone's who may log in, this one takes more than the right to read. VACUUM and ANALYZE take it, too,
-- but are done with one row that never changes in a millisecond, and autovacuum only comes to it
-- against wraparound. (A lock of that row was no faster, and would write to it and to the WAL with each
-- batch.) What followers have been shown may be lost: with a primary, of which it never came to the
-- standby that is promoted; in a dump that is older; in a crash, where synchronous_commit is off, the last
-- seconds. Then the numbers go on far behind, so that none is given twice.
CREATE OR REPLACE FUNCTION monitor.settle(first bigint, last bigint, records bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	step bigint := 1;
BEGIN
	LOCK TABLE monitor.store IN SHARE UPDATE EXCLUSIVE MODE;
	IF NOT EXISTS (SELECT FROM monitor.run WHERE writer::xid = xmin) THEN
		step := CASE WHEN EXISTS (SELECT FROM monitor.run) THEN 268435456 ELSE 16777216 END;
		DELETE FROM monitor.run;
		INSERT INTO monitor.run DEFAULT VALUES;
	END IF;
	INSERT INTO monitor.batch
		SELECT b.number + CASE b.timeline WHEN monitor.timeline() THEN step ELSE 268435456 END,
			settle.first, settle.last, greatest(b.high, settle.last), b.taken + records, monitor.timeline()
		FROM monitor.batch AS b ORDER BY b.number DESC LIMIT 1;
	PERFORM pg_notify('monitor', '');
END $$;
