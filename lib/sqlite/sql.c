#include "sqlite/sql.h"

#define BOTH(id, before, after) [id] = before "log" after, [(id) + 1] = before "notification" after

/* The columns of a row as ask.c reads them: where the index was read, and where not. */
#define TEXTS "SELECT arrival, message, extra FROM "
#define ROW "SELECT arrival, watchdog, time, level, sender, message, extra FROM "

/* A block that may hold something of a range of times, its strays aside. */
#define BLOCK_NEAR "SELECT first, last, rows > 0 AND tmax >= ?4 AND tmin < ?5, strays FROM block" \
	" WHERE kind = ?1 AND first <= ?3"
#define BLOCK_MAY " AND (strays > 0 OR (rows > 0 AND +tmax >= ?4 AND +tmin < ?5))"

/* The last number given: that of the last row, or of what is not there any more. */
#define LAST(db) "max(arrival, (SELECT ifnull(max(arrival), 0) FROM " db "log)," \
	" (SELECT ifnull(max(arrival), 0) FROM " db "notification))"

/* Rows of a kind from one store to another; the kind itself is parameter 1 of
 * all that copies a piece of a kind. */
#define COPY_ROWS(table) "INSERT INTO main." table \
	" (arrival, watchdog, time, level, sender, message, extra)" \
	" SELECT arrival, watchdog, time, level, sender, message, extra FROM old." table \
	" WHERE ?1 = ?1 AND arrival > ?2 AND arrival <= ?3 ORDER BY arrival"

const char *const sql_text[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN",
	[SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_HEAD] = "SELECT " LAST("") ", epoch FROM head",
	[SQL_KEEP_LAST] = "UPDATE head SET arrival = " LAST(""),
	[SQL_RAISE_EPOCH] = "UPDATE head SET epoch = epoch + 1",

	BOTH(SQL_ADD_LOG, "INSERT INTO ",
	    " (arrival, watchdog, time, level, sender, message, extra) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
	[SQL_WATCHDOG_ID] = "SELECT id FROM watchdog WHERE code = ?1",
	[SQL_ADD_WATCHDOG] = "INSERT INTO watchdog (code) VALUES (?1)",
	[SQL_WATCHDOG_CODE] = "SELECT code FROM watchdog WHERE id = ?1",
	[SQL_SENDER_ID] = "SELECT id FROM sender WHERE name = ?1",
	[SQL_ADD_SENDER] = "INSERT INTO sender (name) VALUES (?1)",
	[SQL_SENDER_NAME] = "SELECT name FROM sender WHERE id = ?1",
	[SQL_MARK] = "SELECT seq FROM mark WHERE source = ?1",
	[SQL_SET_MARK] = "INSERT INTO mark (source, seq, seen) VALUES (?1, ?2, ?3)"
	    " ON CONFLICT (source) DO UPDATE SET seq = excluded.seq, seen = excluded.seen",
	[SQL_LAST_MOMENT] = "SELECT arrival, time FROM moment ORDER BY arrival DESC LIMIT 1",
	[SQL_ADD_MOMENT] = "INSERT INTO moment (arrival, time) VALUES (?1, ?2)",

	[SQL_SEALED] = "SELECT last FROM block WHERE kind = ?1 ORDER BY first DESC LIMIT 1",
	BOTH(SQL_TAIL_LOG, "SELECT arrival, watchdog, time, level, sender, length(message) FROM ",
	    " WHERE arrival > ?1 ORDER BY arrival"),
	[SQL_ADD_BLOCK] = "REPLACE INTO block (first, last, kind, rows, strays, tmin, tmax, bytes)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SQL_ADD_BLOCK_INDEX] = "REPLACE INTO block_index (first, watchdogs, entries) VALUES (?1, ?2, ?3)",
	[SQL_ADD_STRAY] = "REPLACE INTO stray (kind, time, arrival, watchdog, level, sender)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_BLOCK_WATCHDOGS] = "SELECT watchdogs, tmin, tmax FROM block_index JOIN block USING (first)"
	    " WHERE first = ?1 AND kind = ?2",
	[SQL_BLOCK_INDEX] = "SELECT watchdogs, entries FROM block_index WHERE first = ?1",

	/* The index has all of it. (One without rows costs less than to ask each for them.) */
	[SQL_BLOCKS] = "SELECT first, tmin, tmax FROM block INDEXED BY block_time"
	    " WHERE kind = ?1 AND tmax >= ?2 AND tmin < ?3 AND first <= ?4",
	/* From one place on, in the order of arrival. (The pluses keep it to that order, without
	 * an index; a block is no longer than 65536, BLOCK_SPAN and one.) */
	[SQL_BLOCK_AHEAD] = BLOCK_NEAR " AND first > ?2 - 65536 AND last >= ?2" BLOCK_MAY
	    " ORDER BY first LIMIT 1",
	[SQL_BLOCK_BACK] = BLOCK_NEAR " AND first <= ?2" BLOCK_MAY " ORDER BY first DESC LIMIT 1",
	BOTH(SQL_UNSEALED_LOG, "SELECT arrival, watchdog, time, level, sender FROM ",
	    " WHERE arrival > ?1 AND arrival <= ?2 AND (?5 IS NULL OR watchdog = ?5)"
	    " AND time >= ?3 AND time < ?4 ORDER BY arrival"),
	[SQL_STRAYS] = "SELECT time, arrival, watchdog, level, sender FROM stray"
	    " WHERE kind = ?1 AND (time, arrival) > (?2, ?3) AND time < ?4 ORDER BY time, arrival",
	[SQL_STRAYS_BACK] = "SELECT time, arrival, watchdog, level, sender FROM stray"
	    " WHERE kind = ?1 AND (time, arrival) < (?2, ?3) AND time >= ?4"
	    " ORDER BY time DESC, arrival DESC",
	BOTH(SQL_TEXTS_LOG, TEXTS, " WHERE arrival >= ?1 ORDER BY arrival"),
	BOTH(SQL_TEXTS_BACK_LOG, TEXTS, " WHERE arrival <= ?1 ORDER BY arrival DESC"),
	BOTH(SQL_ROWS_LOG, ROW, " WHERE arrival >= ?1 ORDER BY arrival"),
	BOTH(SQL_ROWS_BACK_LOG, ROW, " WHERE arrival <= ?1 ORDER BY arrival DESC"),

	[SQL_EVERY_BLOCK] = "SELECT first, last, rows, tmin, tmax FROM block INDEXED BY block_time"
	    " WHERE kind = ?1 AND tmax >= ?2 AND tmin < ?3 AND rows > 0 AND first <= ?4",
	BOTH(SQL_MESSAGES_LOG, "SELECT arrival, message FROM ", " WHERE arrival >= ?1 ORDER BY arrival"),
	[SQL_ALL_WATCHDOGS] = "SELECT id, code FROM watchdog WHERE code >= ?1 ORDER BY code",
	[SQL_ALL_SENDERS] = "SELECT id, name FROM sender WHERE name >= ?1 ORDER BY name",

	[SQL_BLOCK_SUMS] = "SELECT sum(rows), sum(strays) FROM block WHERE kind = ?1",
	BOTH(SQL_COUNT_TAIL_LOG, "SELECT count(*) FROM ", " WHERE arrival > ?1"),
	[SQL_COUNT_NAMES] = "SELECT (SELECT count(*) FROM watchdog), (SELECT count(*) FROM sender),"
	    " (SELECT count(*) FROM mark)",
	[SQL_FILE] = "SELECT user_version, freelist_count * page_size"
	    " FROM pragma_user_version, pragma_freelist_count, pragma_page_size",

	/* From the attached store `old` into a new one. */
	[SQL_COPY_WATCHDOGS] = "REPLACE INTO main.watchdog (id, code) SELECT id, code FROM old.watchdog"
	    " WHERE id > (SELECT coalesce(max(id), 0) FROM main.watchdog) ORDER BY id LIMIT ?1",
	[SQL_COPY_SENDERS] = "REPLACE INTO main.sender (id, name) SELECT id, name FROM old.sender"
	    " WHERE id > (SELECT coalesce(max(id), 0) FROM main.sender) ORDER BY id LIMIT ?1",
	[SQL_COPY_HEAD] = "UPDATE main.head SET (store, arrival, epoch) ="
	    " (SELECT store, " LAST("old.") ", epoch FROM old.head)",
	[SQL_COPY_MARKS] = "INSERT INTO main.mark (source, seq, seen)"
	    " SELECT source, seq, seen FROM old.mark ORDER BY source",
	[SQL_COPY_SEALED] = "SELECT coalesce(max(last), 0) FROM old.block WHERE kind = ?1",
	[SQL_COPY_NEXT] = "SELECT last, rows + strays, bytes FROM old.block"
	    " WHERE kind = ?1 AND first > ?2 AND first <= ?3 ORDER BY first",
	[SQL_COPY_LOG] = COPY_ROWS("log"),
	[SQL_COPY_NOTIFICATION] = COPY_ROWS("notification"),
	[SQL_COPY_BLOCKS] = "INSERT INTO main.block"
	    " (kind, first, last, rows, strays, tmin, tmax, bytes)"
	    " SELECT kind, first, last, rows, strays, tmin, tmax, bytes FROM old.block"
	    " WHERE kind = ?1 AND first > ?2 AND first <= ?3 ORDER BY first",
	[SQL_COPY_INDEXES] = "INSERT INTO main.block_index (first, watchdogs, entries)"
	    " SELECT first, watchdogs, entries FROM old.block_index WHERE first IN"
	    " (SELECT first FROM old.block WHERE kind = ?1 AND first > ?2 AND first <= ?3)",
	[SQL_COPY_STRAYS] = "INSERT INTO main.stray (kind, time, arrival, watchdog, level, sender)"
	    " SELECT kind, time, arrival, watchdog, level, sender FROM old.stray"
	    " INDEXED BY stray_arrival WHERE kind = ?1 AND arrival > ?2 AND arrival <= ?3",
	[SQL_COPY_MOMENTS] = "INSERT INTO main.moment (arrival, time)"
	    " SELECT arrival, time FROM old.moment"
	    " WHERE arrival > (SELECT coalesce(max(arrival), 0) FROM main.moment)"
	    " AND arrival <= (SELECT arrival FROM main.head) ORDER BY arrival LIMIT ?1",

	[SQL_CHECK_FILE] = "PRAGMA integrity_check(100)",
	[SQL_CHECK_LAST] = "SELECT max((SELECT coalesce(max(last), 0) FROM block),"
	    " (SELECT coalesce(max(arrival), 0) FROM moment))",
	[SQL_CHECK_WATCHDOGS] = "SELECT id, code FROM watchdog WHERE id > ?1 ORDER BY id",
	[SQL_CHECK_SENDERS] = "SELECT id, name FROM sender WHERE id > ?1 ORDER BY id",
	[SQL_CHECK_BLOCK] = "SELECT first, last, rows, strays, tmin, tmax FROM block"
	    " WHERE kind = ?1 AND first > ?2 AND first <= ?3 ORDER BY first LIMIT 1",
	BOTH(SQL_CHECK_ROWS_LOG, "SELECT arrival, watchdog, time, level, sender,"
	    " typeof(watchdog) = 'integer' AND typeof(time) = 'real' AND typeof(level) = 'integer'"
	    " AND typeof(sender) = 'integer' AND typeof(message) = 'text'"
	    " AND typeof(extra) IN ('text', 'null') FROM ",
	    " WHERE arrival > ?1 AND arrival <= ?2 ORDER BY arrival"),
	BOTH(SQL_CHECK_TAIL_LOG, "SELECT count(*), max(arrival) - min(arrival) FROM ",
	    " WHERE arrival > ?1"),
	[SQL_CHECK_STRAY] = "SELECT watchdog, level, sender FROM stray"
	    " WHERE kind = ?1 AND time = ?2 AND arrival = ?3",
	[SQL_CHECK_STRAYS] = "SELECT (SELECT count(*) FROM stray WHERE kind = ?1),"
	    " (SELECT coalesce(sum(strays), 0) FROM block WHERE kind = ?1)",
	[SQL_CHECK_INDEXES] = "SELECT first FROM block_index"
	    " WHERE first NOT IN (SELECT first FROM block) ORDER BY first",
	[SQL_CHECK_MOMENTS] = "SELECT arrival, time FROM moment WHERE arrival > ?1 ORDER BY arrival",
	[SQL_CHECK_MARKS] = "SELECT source, seq, seen, typeof(source) = 'text' AND source <> ''"
	    " AND typeof(seq) = 'integer' AND typeof(seen) = 'real' FROM mark"
	    " ORDER BY source",

	[SQL_ROOTS] = "SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0",
	[SQL_KEEP_MARK] = "INSERT INTO mark (source, seq, seen) VALUES (?1, ?2, ?3)"
	    " ON CONFLICT (source) DO UPDATE SET seq = max(seq, excluded.seq),"
	    " seen = max(seen, excluded.seen)",

	/* purge */
	[SQL_BLOCK] = "SELECT last, rows, strays, bytes, tmin, tmax FROM block"
	    " WHERE kind = ?1 AND first = ?2",
	[SQL_BLOCK_STRAYS] = "SELECT arrival, watchdog, time, level, sender FROM stray"
	    " INDEXED BY stray_arrival WHERE kind = ?1 AND arrival BETWEEN ?2 AND ?3",
	[SQL_NEXT_BLOCK] = "SELECT first FROM block WHERE kind = ?1 AND first > ?2"
	    " ORDER BY first LIMIT 1",
	[SQL_OLD_BLOCKS] = "SELECT first FROM block"
	    " WHERE kind = ?1 AND (first <= ?3 OR (rows > 0 AND tmin < ?2))",
	[SQL_OLD_STRAYS] = "SELECT DISTINCT (SELECT first FROM block"
	    " WHERE block.kind = ?1 AND block.first <= stray.arrival ORDER BY first DESC LIMIT 1)"
	    " FROM stray WHERE kind = ?1 AND time < ?2",
	BOTH(SQL_TEXT_LOG, "SELECT sum(length(CAST(message AS BLOB)) +"
	    " ifnull(length(CAST(extra AS BLOB)), 0)) FROM ", " WHERE arrival BETWEEN ?1 AND ?2"),
	BOTH(SQL_TOUCH_LOG, "SELECT count(*) FROM ", " WHERE arrival BETWEEN ?1 AND ?2"),
	BOTH(SQL_DROP_LOG, "DELETE FROM ", " WHERE arrival BETWEEN ?1 AND ?2"),
	[SQL_DROP_BLOCK] = "DELETE FROM block WHERE kind = ?1 AND first = ?2",
	[SQL_DROP_BLOCK_INDEX] = "DELETE FROM block_index WHERE first = ?1",
	[SQL_DROP_STRAYS] = "DELETE FROM stray INDEXED BY stray_arrival"
	    " WHERE kind = ?1 AND arrival BETWEEN ?2 AND ?3",
	[SQL_FEWER_STRAYS] = "UPDATE block SET strays = ?3, bytes = ?4"
	    " WHERE kind = ?1 AND first = ?2",

	/* The moment at which a record arrived is the one at or before it. A moment
	 * that no record is left to need goes, but never the last. */
	[SQL_MOMENT_AT] = "SELECT arrival, time FROM moment WHERE arrival <= ?1"
	    " ORDER BY arrival DESC LIMIT 1",
	[SQL_MOMENTS] = "SELECT count(*), max(arrival) FROM"
	    " (SELECT arrival FROM moment WHERE arrival >= ?1 AND"
	    " arrival <= ifnull((SELECT min(arrival) FROM moment WHERE arrival > ?2), ?2)"
	    " ORDER BY arrival LIMIT ?3)",
	[SQL_DROP_MOMENTS] = "DELETE FROM moment WHERE arrival IN (SELECT arrival FROM"
	    " (SELECT arrival, lead(arrival) OVER (ORDER BY arrival) AS next FROM moment"
	    " WHERE arrival BETWEEN ?1 AND ?2) AS m WHERE next IS NOT NULL AND"
	    " NOT EXISTS (SELECT 1 FROM log WHERE log.arrival >= m.arrival AND log.arrival < next)"
	    " AND NOT EXISTS (SELECT 1 FROM notification AS n"
	    " WHERE n.arrival >= m.arrival AND n.arrival < next))",

	/* So many marks at a time, by name. */
	[SQL_OLD_MARKS] = "SELECT max(source), sum(seen < ?2), count(*) FROM"
	    " (SELECT source, seen FROM mark WHERE source > ?1 ORDER BY source LIMIT ?3)",
	[SQL_DROP_MARKS] = "DELETE FROM mark WHERE source > ?1 AND source <= ?3 AND seen < ?2",

	[SQL_NAMES] = "SELECT (SELECT count(*) FROM watchdog) + (SELECT count(*) FROM sender),"
	    " page_count * page_size FROM pragma_page_count(), pragma_page_size()",
	BOTH(SQL_NEW_NAMES_LOG, "SELECT arrival, watchdog, sender FROM ",
	    " WHERE arrival > ?1 ORDER BY arrival LIMIT ?2"),
	[SQL_SOME_WATCHDOGS] = "SELECT id FROM watchdog WHERE id > ?1 ORDER BY id",
	[SQL_SOME_SENDERS] = "SELECT id FROM sender WHERE id > ?1 ORDER BY id",
	[SQL_DROP_WATCHDOG] = "DELETE FROM watchdog WHERE id = ?1",
	[SQL_DROP_SENDER] = "DELETE FROM sender WHERE id = ?1",

	[SQL_FREE_PAGES] = "PRAGMA freelist_count",
	[SQL_PAGES] = "PRAGMA page_count",
	[SQL_PAGE_SIZE] = "PRAGMA page_size",
	[SQL_VACUUM] = "PRAGMA incremental_vacuum",
	[SQL_VERSION] = "PRAGMA data_version",
};
