-- The store, on PostgreSQL 15 or newer, in a database of encoding UTF8.
-- `monitor-ingest --create-schema` runs this; `--print-schema` shows it, for
-- those whose database administrator does. One transaction.
--
-- A record's arrival is a number that never repeats, given by reserve():
--
--     seconds since 2020-01-01 (31 bits) . serial (14 bits) . place in its batch (18 bits)
--
-- so the tables are partitioned by arrival, which is by the time when it came. Many write at
-- once, and whoever began first may commit last: numbers alone do not say what a follower
-- has seen. The order of commits does, and is written down: a batch first copies its rows
-- in, then takes a lock, the next number of `batch`, and commits. Nobody waits for another's
-- client: what happens behind the lock is one round trip of the server's own.

DO $$
BEGIN
	IF current_setting('server_version_num')::integer < 150000 THEN
		RAISE EXCEPTION 'PostgreSQL % is too old: 15 is needed', current_setting('server_version');
	ELSIF current_setting('server_encoding') <> 'UTF8' THEN
		RAISE EXCEPTION 'the database is of encoding %, not UTF8', current_setting('server_encoding');
	END IF;
END $$;

CREATE SCHEMA monitor;

-- One row: what was decided when the store was made.
CREATE TABLE monitor.store (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	version integer NOT NULL,
	id bigint NOT NULL,                      -- which store this is: random, in every cursor
	log_interval integer NOT NULL,           -- seconds of arrival in a partition
	notification_interval integer NOT NULL,
	bound integer NOT NULL                   -- see `stray`
);

-- The records, a table a kind, so that kept-for-ever notifications and short-lived logs never
-- share a partition. Texts cannot hold U+0000: it is written as U+0010 '0', and U+0010
-- as U+0010 U+0010.
--
-- What a row costs is its indexes. 500,000 rows took the server 0.9 s with the primary key alone, 3.0 s
-- with (watchdog, time, arrival) as well, which all requests of the protocol need, and 3.5 s with
-- (time, arrival), too, which grows at its end only, and gives the records of all watchdogs in their
-- order, as a BRIN cannot. The texts stand in the rows: numbers for them
-- would make each batch wait for who names a new one.
CREATE TABLE monitor.log (
	arrival bigint NOT NULL,
	time double precision NOT NULL,          -- seconds since 1970; any double comes back as it was
	level bigint NOT NULL,
	watchdog text COLLATE "C" NOT NULL,
	sender text COLLATE "C" NOT NULL,
	message text COLLATE "C" NOT NULL,
	extra text COLLATE "C",                  -- members that are not ours, one JSON object
	PRIMARY KEY (arrival)
) PARTITION BY RANGE (arrival);
CREATE INDEX log_watchdog ON monitor.log (watchdog, time, arrival);
CREATE INDEX log_time ON monitor.log (time, arrival);

CREATE TABLE monitor.notification (LIKE monitor.log, PRIMARY KEY (arrival)) PARTITION BY RANGE (arrival);
CREATE INDEX notification_watchdog ON monitor.notification (watchdog, time, arrival);
CREATE INDEX notification_time ON monitor.notification (time, arrival);

-- Records of both kinds whose time is further than `store.bound` seconds from their arrival.
-- All others' partitions are therefore known from their time.
CREATE TABLE monitor.stray (
	LIKE monitor.log,
	kind smallint NOT NULL,                  -- 0 log, 1 notification
	PRIMARY KEY (arrival)
);
CREATE INDEX stray_watchdog ON monitor.stray (watchdog, time, arrival);
CREATE INDEX stray_time ON monitor.stray (time, arrival);

-- In the order of commits: which arrivals came together. The first row stands for the time
-- before, and the last is never removed.
CREATE FUNCTION monitor.timeline() RETURNS integer
	LANGUAGE sql RETURN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
CREATE TABLE monitor.batch (
	number bigint PRIMARY KEY,
	first bigint NOT NULL,
	last bigint NOT NULL,
	high bigint NOT NULL,                    -- the highest `last` so far
	taken bigint NOT NULL,                   -- records ever taken so far
	timeline integer NOT NULL                -- of the server that took it: it rises when a standby is promoted
);
CREATE UNIQUE INDEX batch_first ON monitor.batch (first);
INSERT INTO monitor.batch VALUES (0, 0, 0, 0, 0, monitor.timeline());
CREATE SEQUENCE monitor.serial MINVALUE 0 MAXVALUE 16383 CYCLE;

-- How far each numbered source is settled.
CREATE TABLE monitor.mark (
	source text COLLATE "C" PRIMARY KEY,
	seq bigint NOT NULL,
	seen double precision NOT NULL
) WITH (fillfactor = 50);

-- The first arrival that a second can have.
CREATE FUNCTION monitor.arrival_of(second bigint) RETURNS bigint
	LANGUAGE sql IMMUTABLE RETURN (second - 1577836800) << 32;

-- A partition is named for the moment (UTC) at which it begins.
CREATE FUNCTION monitor.partition_name(kind text, begins bigint) RETURNS text
	LANGUAGE sql STABLE
	RETURN kind || to_char(to_timestamp(begins) AT TIME ZONE 'UTC', '_YYYYMMDD_HH24MISS');

-- Make the partition of this kind that holds the second, and the one after it, where they are
-- missing. It is made apart and then attached: that makes no writer and no reader wait. Two who make
-- them do so one after the other, by the lock that attaching takes anyway.
CREATE FUNCTION monitor.make_partitions(kind text, second bigint, length bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	begins bigint := second - second % length;
	name text;
BEGIN
	EXECUTE format('LOCK TABLE ONLY monitor.%I IN SHARE UPDATE EXCLUSIVE MODE', kind);
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
CREATE FUNCTION monitor.make_due_partitions() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	second bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
	PERFORM monitor.make_partitions('log', second, log_interval),
		monitor.make_partitions('notification', second, notification_interval) FROM monitor.store;
END $$;

-- The first arrival for a new batch: up to 262144 records may have it and what follows.
-- Sees to it that there are partitions for it, and for what comes next.
CREATE FUNCTION monitor.reserve() RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	second bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
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

-- The last act of a batch of `records`, right before its COMMIT: its place in the order of
-- commits, which is kept until it is committed. Followers wake up. (A writer itself may not
-- touch that order.) The lock is one that nobody else can hold for long: an advisory lock would be
-- anyone's who may log in, this one takes more than the right to read; and a table that never
-- changes is not vacuumed. What a primary had shown to followers before it was lost may never have
-- come to the standby that is promoted: there the numbers go on far behind, so that none is
-- given twice. (So they do in a dump that was restored, when its last timeline is set to 0.)
CREATE FUNCTION monitor.settle(first bigint, last bigint, records bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	LOCK TABLE monitor.store IN SHARE UPDATE EXCLUSIVE MODE;
	INSERT INTO monitor.batch
		SELECT b.number + CASE b.timeline WHEN monitor.timeline() THEN 1 ELSE 268435456 END,
			settle.first, settle.last, greatest(b.high, settle.last), b.taken + records, monitor.timeline()
		FROM monitor.batch AS b ORDER BY b.number DESC LIMIT 1;
	PERFORM pg_notify('monitor', '');
END $$;

-- For anyone with psql.
CREATE VIEW monitor.records AS
	SELECT 'log' AS kind, watchdog, level, time,
			CASE WHEN time BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(time) END AS at,
			sender, message, extra, arrival FROM monitor.log
	UNION ALL
	SELECT 'notification', watchdog, level, time,
			CASE WHEN time BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(time) END,
			sender, message, extra, arrival FROM monitor.notification
	UNION ALL
	SELECT CASE kind WHEN 0 THEN 'log' ELSE 'notification' END, watchdog, level, time,
			CASE WHEN time BETWEEN -62135596800 AND 253402300799 THEN to_timestamp(time) END,
			sender, message, extra, arrival FROM monitor.stray;
