-- The store, on PostgreSQL 15 or newer, in a database of encoding UTF8.
-- `monitor-ingest --create-schema` runs this; `--print-schema` shows it, for
-- those whose database administrator does. One transaction. What writers call is in
-- postgres_functions.sql.
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
	timeline integer NOT NULL                -- of the server that took it: another one once a standby is promoted
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
