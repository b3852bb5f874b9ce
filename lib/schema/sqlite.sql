-- The store, on SQLite. Embedded at build time; see lib/sqlite/schema.c for
-- the versions. Every write is an append: rows go to the end of their kind's
-- table in the order of their arrival, and what finds them again is written
-- once for each full block of rows, not for each row.

-- One row: the counters that must survive an emptied table.
CREATE TABLE head (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	store INTEGER NOT NULL,      -- which store this is: random, in every cursor
	arrival INTEGER NOT NULL,    -- the last number given to a record that may be gone, or left
	                             -- out: those behind it are in their rows
	epoch INTEGER NOT NULL       -- rises when a purge touches what a writer may hold in memory,
	                             -- and when numbers are left out
);

-- Names that many rows share. AUTOINCREMENT: a number is never used again.
CREATE TABLE watchdog (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE);
CREATE TABLE sender (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);

-- The records, a table a kind, so that kept-for-ever notifications and
-- short-lived logs never share a block. Arrival numbers are given across both.
-- `time` has no declared type: REAL would store -0.0 as 0.
CREATE TABLE log (
	arrival INTEGER PRIMARY KEY,
	watchdog INTEGER NOT NULL,
	time NOT NULL,
	level INTEGER NOT NULL,
	sender INTEGER NOT NULL,
	message TEXT NOT NULL,
	extra TEXT                   -- members that are not ours, one JSON object
);
CREATE TABLE notification (
	arrival INTEGER PRIMARY KEY,
	watchdog INTEGER NOT NULL,
	time NOT NULL,
	level INTEGER NOT NULL,
	sender INTEGER NOT NULL,
	message TEXT NOT NULL,
	extra TEXT
);

-- A sealed block: the rows of one kind with first <= arrival <= last. Rows
-- behind the last block of their kind are the tail, which is read itself.
CREATE TABLE block (
	kind INTEGER NOT NULL,       -- 0 log, 1 notification
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	rows INTEGER NOT NULL,       -- in the index below; strays come on top
	strays INTEGER NOT NULL,
	tmin REAL NOT NULL,          -- the time range of the indexed rows
	tmax REAL NOT NULL,
	bytes INTEGER NOT NULL,      -- of text in its rows, about
	PRIMARY KEY (kind, first)
) WITHOUT ROWID;
CREATE INDEX block_time ON block (kind, tmax, tmin);

-- The index of a block: see lib/sqlite/block.h for the two formats.
CREATE TABLE block_index (
	first INTEGER PRIMARY KEY,
	watchdogs BLOB NOT NULL,     -- which watchdogs have how many rows
	entries BLOB NOT NULL        -- a row: place, level, sender, time; sorted by watchdog
);

-- Rows that would spoil their block's time range, or do not fit an entry.
CREATE TABLE stray (
	kind INTEGER NOT NULL,
	time NOT NULL,
	arrival INTEGER NOT NULL,
	watchdog INTEGER NOT NULL,
	level INTEGER NOT NULL,
	sender INTEGER NOT NULL,
	PRIMARY KEY (kind, time, arrival)
) WITHOUT ROWID;
CREATE INDEX stray_arrival ON stray (kind, arrival);   -- a block's

-- When records arrived: at most one row a second, for the first record that
-- came in it.
CREATE TABLE moment (arrival INTEGER PRIMARY KEY, time REAL NOT NULL);

-- How far each numbered source is settled.
CREATE TABLE mark (
	source TEXT PRIMARY KEY,
	seq INTEGER NOT NULL,
	seen REAL NOT NULL
) WITHOUT ROWID;

-- For anyone with the sqlite3 shell.
CREATE VIEW records AS
	SELECT 'log' AS kind, w.code AS watchdog, level, time, s.name AS sender, message, extra, arrival
		FROM log JOIN watchdog AS w ON w.id = log.watchdog JOIN sender AS s ON s.id = log.sender
	UNION ALL
	SELECT 'notification', w.code, level, time, s.name, message, extra, arrival
		FROM notification JOIN watchdog AS w ON w.id = notification.watchdog
		JOIN sender AS s ON s.id = notification.sender;
