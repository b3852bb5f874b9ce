/* Looking after a store: statistics, backup, verification, waiting. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fixture.h"
#include "sqlite/db.h"

enum { RECORDS = 30000 };

/* Run SQL on a store's file, behind its back. */
static void
meddle(const char *path, const char *sql)
{
	struct error e;
	struct db *db = db_open(path, DB_WRITE, &e);

	if (db == NULL || db_exec(db, sql, &e) == -1)
		fixture_fail(sql, e.text);
	db_close(&db);
}

/* ---- statistics ----------------------------------------------------------------- */

static uint64_t
on_disk(const char *path)
{
	struct stat st;

	return stat(path, &st) == -1 ? 0 : (uint64_t)st.st_blocks * 512;
}

static void
stats(void)
{
	struct sample *samples = fixture_samples(0, RECORDS);
	struct store *s = fixture_open("stats.db", STORE_WRITE);
	struct store_offer mark = { .source = str_of("device"), .seq = 4, .refused = true };
	struct store_added added;
	struct store_stats st;
	struct error e;
	uint64_t rows[RECORD_KINDS] = { 0 };
	double first = INFINITY, last = -INFINITY;

	tap_ok(store_stats(s, &st, &e) == 0 && st.rows[0] == 0 && st.rows[1] == 0 && st.arrival == 0 &&
	    st.watchdogs == 0 && st.schema > 0 && st.bytes > 0 &&
	    strcmp(st.engine, fixture_maker == NULL ? "sqlite" : "postgresql") == 0,
	    "an empty store has statistics");
	fixture_add(s, samples, RECORDS, 3000);
	if (store_add(s, &mark, 1, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	for (size_t i = 0; i < RECORDS; i++) {
		rows[samples[i].record.kind]++;
		if (samples[i].record.kind == RECORD_LOG) {
			first = fmin(first, samples[i].record.time);
			last = fmax(last, samples[i].record.time);
		}
	}
	tap_ok(store_stats(s, &st, &e) == 0 && st.rows[RECORD_LOG] == rows[RECORD_LOG] &&
	    st.rows[RECORD_NOTIFICATION] == rows[RECORD_NOTIFICATION] && st.arrival == RECORDS,
	    "they count the records of each kind");
	tap_ok(st.watchdogs == 40 && st.senders == 12 && 
	    st.sources == (fixture_maker == NULL ? 1 : 2),   /* a writer there has one of its own */
	    "... and names, and marks");
	tap_ok(st.first[RECORD_LOG] == first && st.last[RECORD_LOG] == last,
	    "... and know the first and the last time");
	tap_ok(st.strays > 0 && st.strays < RECORDS / 50, "... and how many records are strays");
	store_close(&s);
	free(samples);
	if (fixture_maker != NULL)
		return;
	s = fixture_open("stats.db", STORE_READ);
	tap_ok(store_stats(s, &st, &e) == 0 && st.bytes == on_disk("stats.db") +
	    on_disk("stats.db-wal") + on_disk("stats.db-shm"), "... and the files' size on disk");
	store_close(&s);
}

/* ---- verification ---------------------------------------------------------------- */

struct findings {
	char text[8192];
	size_t used;
	int told;
};

static void
note(void *arg, const char *text)
{
	struct findings *f = arg;

	f->told++;
	if (f->used < sizeof(f->text))
		f->used += (size_t)snprintf(f->text + f->used, sizeof(f->text) - f->used, "%s\n", text);
}

static int64_t
verify(const char *path, struct findings *f)
{
	struct store *s = fixture_open(path, STORE_READ);
	struct error e;
	int64_t n;

	*f = (struct findings){ 0 };
	if ((n = store_verify(s, note, f, &e)) == -1)
		fixture_fail("store_verify", e.text);
	store_close(&s);
	return n;
}

/* What was done to a store, and what a verification says then. */
static const struct {
	const char *sql, *finding;
} damages[] = {
	{ "DELETE FROM log WHERE arrival IN (100, 105)",
	    "log block 1: 2 rows in its index that cannot be found (the first is 100)" },
	{ "UPDATE log SET level = level + 1 WHERE arrival = 300",
	    "log block 1: 1 row known otherwise to its index (the first is 300)" },
	{ "UPDATE log SET time = time + 0.25 WHERE arrival = 300", "known otherwise to its index" },
	{ "UPDATE log SET watchdog = 1 + watchdog % 40 WHERE arrival = 300",
	    "known otherwise to its index" },
	{ "UPDATE log SET sender = 1 + sender % 12 WHERE arrival = 300",
	    "known otherwise to its index" },
	{ "UPDATE log SET time = 'noon' WHERE arrival = 300",
	    "log block 1: 1 row with a value of the wrong type (the first is 300)" },
	{ "UPDATE log SET time = 9e999 WHERE arrival = 300",
	    "1 row with a time that is not finite" },
	{ "UPDATE log SET message = x'00' WHERE arrival = 29999",
	    "log tail: 1 row with a value of the wrong type (the first is 29999)" },
	{ "DELETE FROM watchdog WHERE id = 7", "of a watchdog without a name" },
	{ "DELETE FROM sender WHERE id = 7", "of a sender without a name" },
	{ "UPDATE watchdog SET code = 'a b' WHERE id = 7",
	    "watchdogs: number 7 has a code that is none" },
	{ "UPDATE head SET arrival = 5; DELETE FROM log WHERE arrival > 7; DELETE FROM notification;"
	    "INSERT INTO moment VALUES (30000, 1e300)",
	    "counters: the last number given is said to be 7, but 30000 is in use" },
	{ "DELETE FROM head", "damaged" },
	{ "UPDATE block SET rows = rows - 1 WHERE first = 1",
	    "its index is damaged: it has another number of rows than the block says" },
	{ "UPDATE block SET tmin = tmin - 1 WHERE first = 1", "log block 1: its times go from" },
	{ "UPDATE block SET tmax = tmax + 1 WHERE first = 1", "log block 1: its times go from" },
	{ "UPDATE block SET strays = strays - 1 WHERE first = 1", "of its rows are strays, not" },
	{ "UPDATE block SET strays = strays + 9000 WHERE first = 1", "log block 1: it has" },
	{ "UPDATE block SET last = last + 70000 WHERE first = 1", "log block 1: it goes from 1 to" },
	{ "UPDATE block SET last = last + 10 WHERE first = 1",
	    "it begins before the one before it ends" },
	{ "DELETE FROM block WHERE first = 1", "rows before it, in no block" },
	{ "DELETE FROM block WHERE kind = 0", "they should be in a block" },
	{ "DELETE FROM block_index WHERE first = 1",
	    "log block 1: its index is damaged: it is not there" },
	{ "UPDATE block_index SET entries = substr(entries, 1, 100) WHERE first = 1",
	    "its index is damaged: a part of it is cut off" },
	{ "UPDATE block_index SET watchdogs = substr(watchdogs, 7) WHERE first = 1",
	    "its index is damaged: " },
	{ "UPDATE block_index SET watchdogs = substr(watchdogs, 7, 6) || substr(watchdogs, 1, 6)"
	    " || substr(watchdogs, 13) WHERE first = 1",
	    "its index is damaged: its " },
	{ "UPDATE block_index SET entries = substr(entries, 16, 15) || substr(entries, 1, 15)"
	    " || substr(entries, 31) WHERE first = 1",
	    "its index is damaged: its rows are out of order" },
	{ "INSERT INTO block_index VALUES (77, x'', x'')",
	    "block indexes: there is one of a block 77 that there is not" },
	{ "DELETE FROM stray WHERE arrival = (SELECT min(arrival) FROM stray WHERE kind = 0)",
	    "1 row unknown to its index" },
	{ "INSERT INTO stray VALUES (0, 5, 40, 1, 1, 1)", "log strays: there are" },
	{ "UPDATE stray SET level = level + 1 WHERE kind = 0", "rows known otherwise to its index" },
	{ "INSERT INTO moment VALUES (20000, 1)", "moments: 1, at 20000, is not after" },
	{ "INSERT INTO mark VALUES ('s', 'x', 1.5)", "marks: that of 's' makes no sense" },
};

/* A page of rows that the disk has lost: what lies behind it is still looked at. */
static void
damaged_page(void)
{
	struct findings f;
	size_t size;
	char *file = fixture_read("verify.db", &size);

	if (file == NULL || size < 400 * 4096)
		fixture_fail("verify.db", "is too small");
	memset(file + 200 * 4096, 0, 4096);
	fixture_copy("verify.db", "damaged.db");
	fixture_write("damaged.db", file, size);
	free(file);
	meddle("damaged.db", "DELETE FROM moment; INSERT INTO moment VALUES (1, 2), (2, 1)");
	verify("damaged.db", &f);
	if (!tap_ok(strstr(f.text, "file: ") != NULL && strstr(f.text, "damaged: ") != NULL &&
	    strstr(f.text, "moments: 1, at 2, is not after 2") != NULL,
	    "a page that is lost is found, and what is behind it"))
		printf("# %.3000s", f.text);
}

static void
verification(void)
{
	struct findings f;
	int64_t n;

	fixture_store("verify.db", RECORDS);
	n = verify("verify.db", &f);
	if (!tap_ok(n == 0 && f.told == 0, "nothing is wrong with a store that is whole"))
		printf("# %s", f.text);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		fixture_copy("verify.db", "damaged.db");
		meddle("damaged.db", damages[i].sql);
		if (strcmp(damages[i].finding, "damaged") == 0) {
			struct error e = { 0 };
			struct store *s = store_open("damaged.db", STORE_READ, &e);
			tap_ok(s == NULL && e.kind == ERROR_CORRUPT, "%s: is not opened", damages[i].sql);
			continue;
		}
		n = verify("damaged.db", &f);
		if (!tap_ok(n > 0 && strstr(f.text, damages[i].finding) != NULL, "%.60s: is found",
		    damages[i].sql))
			printf("# expected: %s\n# %lld findings:\n# %.2000s", damages[i].finding,
			    (long long)n, f.text);
	}
	damaged_page();
	fixture_copy("verify.db", "damaged.db");
	meddle("damaged.db", "WITH RECURSIVE n(i) AS (SELECT 100000 UNION ALL SELECT i + 1 FROM n"
	    " WHERE i < 100149) INSERT INTO block_index SELECT i, x'', x'' FROM n");
	n = verify("damaged.db", &f);
	tap_ok(n == 150 && f.told == 101 && strstr(f.text, "\nand 50 more\n") != NULL,
	    "a hundred findings are told, the others counted");
}

/* ---- backup -------------------------------------------------------------------------- */

/* Are they the same records, in the same order, with the same numbers? */
static bool
same_records(const char *one, const char *other)
{
	struct store *s[2] = { fixture_open(one, STORE_READ), fixture_open(other, STORE_READ) };
	struct query q = query_all();
	struct answer *a[2];
	struct cursor c[2];
	struct record r[2];
	struct error e;
	bool same = true;
	int rc[2];

	q.order = QUERY_BY_ARRIVAL;
	for (int i = 0; i < 2; i++)
		if ((a[i] = store_ask(s[i], &q, &e)) == NULL)
			fixture_fail("store_ask", e.text);
	do {
		for (int i = 0; i < 2; i++) {
			if ((rc[i] = answer_next(a[i], &r[i], &e)) == -1)
				fixture_fail("answer_next", e.text);
			answer_cursor(a[i], &c[i]);
		}
		same = rc[0] == rc[1] && (rc[0] == 0 || (c[0].arrival == c[1].arrival &&
		    r[0].kind == r[1].kind && r[0].level == r[1].level && r[0].time == r[1].time &&
		    str_equal(r[0].watchdog, r[1].watchdog) && str_equal(r[0].sender, r[1].sender) &&
		    str_equal(r[0].message, r[1].message) && str_equal(r[0].extra, r[1].extra)));
	} while (same && rc[0] == 1);
	for (int i = 0; i < 2; i++) {
		answer_close(&a[i]);
		store_close(&s[i]);
	}
	return same;
}

struct writing {
	struct store *s;
	volatile int stop;
	uint64_t added;
};

static void *
write_on(void *arg)
{
	struct writing *w = arg;

	while (!w->stop) {
		struct sample *samples = fixture_samples(w->added, 500);
		fixture_add(w->s, samples, 500, 500);
		free(samples);
		__atomic_add_fetch(&w->added, 500, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* A copy made while another connection writes all the time. */
static void
backup_under_way(void)
{
	struct writing w = { .s = fixture_open("busy.db", STORE_WRITE) };
	struct store *reader = fixture_open("busy.db", STORE_READ), *copy;
	struct store_stats st = { 0 };
	struct findings f;
	struct error e = { 0 };
	pthread_t thread;
	uint64_t before, after;
	int rc;

	if (pthread_create(&thread, NULL, write_on, &w) != 0)
		fixture_fail("pthread_create", "");
	while (__atomic_load_n(&w.added, __ATOMIC_SEQ_CST) < 20000)
		sched_yield();
	before = __atomic_load_n(&w.added, __ATOMIC_SEQ_CST);
	rc = store_backup(reader, "busy-copy.db", &e);
	after = __atomic_load_n(&w.added, __ATOMIC_SEQ_CST) + 500;
	w.stop = 1;
	pthread_join(thread, NULL);
	store_close(&reader);
	store_close(&w.s);
	if (!tap_ok(rc == 0, "a backup is made while a writer writes"))
		printf("# %s\n", e.text);
	copy = fixture_open("busy-copy.db", STORE_READ);
	tap_ok(store_stats(copy, &st, &e) == 0 && st.rows[0] + st.rows[1] == (uint64_t)st.arrival &&
	    (uint64_t)st.arrival >= before && (uint64_t)st.arrival <= after &&
	    st.arrival % 500 == 0, "it has all that had arrived at one moment, and nothing else");
	store_close(&copy);
	tap_ok(verify("busy-copy.db", &f) == 0, "and nothing is wrong with it");
}

/* In a child that may write only so much: the disk is full for it. */
static int
back_up_cramped(const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit limit = { 1 << 20, 1 << 20 };
		struct store *s = fixture_open("whole.db", STORE_READ);
		struct error e = { 0 };
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(store_backup(s, path, &e) == -1 && e.kind == ERROR_FULL ? 0 : 1);
	}
	return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
backup(void)
{
	struct store_offer mark = { .source = str_of("device"), .seq = 4, .refused = true };
	struct store_added added;
	struct findings f;
	struct store_stats st;
	struct store *s;
	struct stat file;
	struct error e = { 0 };
	mode_t old = umask(0);

	fixture_store("whole.db", RECORDS);
	s = fixture_open("whole.db", STORE_WRITE);
	if (store_add(s, &mark, 1, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	tap_ok(store_backup(s, "copy.db", &e) == 0, "a backup is made");
	umask(old);
	store_close(&s);
	tap_ok(stat("copy.db", &file) == 0 && (file.st_mode & 0777) == 0640 &&
	    access("copy.db-wal", F_OK) == -1, "it is one file, which others may not read");
	tap_ok(same_records("whole.db", "copy.db"), "it holds the same records");
	tap_ok(verify("copy.db", &f) == 0, "and nothing is wrong with it");
	s = fixture_open("copy.db", STORE_WRITE);
	mark.seq = 3;
	mark.refused = false;
	mark.record = (struct record){ .watchdog = str_of("w"), .sender = str_of("s"),
		.message = str_of("m") };
	tap_ok(store_add(s, &mark, 1, &added, &e) == 0 && added.duplicates == 1,
	    "the marks are in it");
	mark.seq = 5;
	tap_ok(store_add(s, &mark, 1, &added, &e) == 0 && added.stored == 1 &&
	    store_stats(s, &st, &e) == 0 && st.rows[0] + st.rows[1] == RECORDS + 1,
	    "and it can be written on");
	tap_ok(st.arrival > RECORDS + 1000000, "with numbers that the first store has not given since");
	tap_ok(verify("copy.db", &f) == 0, "and nothing is wrong with it then");
	tap_ok(store_backup(s, "whole.db", &e) == -1 && e.kind == ERROR_SYSTEM &&
	    strstr(e.text, "File exists") != NULL, "a file that is there already is left alone");
	store_close(&s);
	fixture_copy("whole.db", "still.db");
	unlink("still.db-wal");
	s = fixture_open("still.db", STORE_READ);
	tap_ok(store_backup(s, "still-copy.db", &e) == 0 && same_records("still.db", "still-copy.db"),
	    "a store that nobody writes to, without a WAL, is copied as well");
	store_close(&s);
	tap_ok(back_up_cramped("cramped.db") && access("cramped.db", F_OK) == -1 &&
	    access("cramped.db-journal", F_OK) == -1, "a full disk is an error, and nothing stays");
	tap_ok(!back_up_cramped("missing/copy.db"), "so is a directory that is not there");
	backup_under_way();
}

/* ---- waiting ---------------------------------------------------------------------------- */

static bool
readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static uint64_t
rows(struct store *s)
{
	struct store_stats st;
	struct error e;

	if (store_stats(s, &st, &e) == -1)
		fixture_fail("store_stats", e.text);
	return st.rows[0] + st.rows[1];
}

/* Look whenever the descriptor says so, until there are as many. */
static bool
sees(struct store *s, int fd, uint64_t want)
{
	while (rows(s) < want) {
		if (!readable(fd, 10000))
			return false;
		store_watched(s);
	}
	return rows(s) == want;
}

static void
watching(void)
{
	struct sample *samples = fixture_samples(0, 20);
	struct store *writer = fixture_open("watch.db", STORE_WRITE), *s;
	struct error e = { 0 };
	int fd;

	fixture_add(writer, samples, 10, 10);
	s = fixture_open("watch.db", STORE_READ);
	fd = store_watch(s, &e);
	tap_ok(fd != -1 && store_watch(s, &e) == fd, "a store is watched, once");
	fixture_add(writer, samples + 10, 10, 1);
	tap_ok(sees(s, fd, 20), "what is written is seen");
	store_close(&s);
	store_close(&writer);
	free(samples);
}

/* What becomes of the file of watching(). */
static void
watching_files(void)
{
	struct sample *samples = fixture_samples(20, 10);
	struct store *s, *writer;
	struct cursor end;
	struct error e = { 0 };
	int fd;

	unlink("watch.db-wal");   /* as an admin's shell leaves it */
	unlink("watch.db-shm");
	s = fixture_open("watch.db", STORE_READ);
	fd = store_watch(s, &e);
	writer = fixture_open("watch.db", STORE_WRITE);
	fixture_add(writer, samples, 10, 10);
	tap_ok(sees(s, fd, 30), "... where there was no WAL before, too");
	store_close(&writer);
	if (rename("watch.db", "gone.db") == -1)
		fixture_fail("rename", strerror(errno));
	while (readable(fd, 20000) && store_end(s, &end, &e) == 0)
		store_watched(s);
	tap_ok(e.kind == ERROR_GONE, "that it was moved away is seen");
	store_close(&s);
	free(samples);
}

static void *
create_store(void *arg)
{
	struct store *s = fixture_open(arg, STORE_WRITE);

	store_close(&s);
	return NULL;
}

static void
awaiting(void)
{
	struct error e = { 0 };
	int fds[2];

	if (pipe(fds) == -1)
		fixture_fail("pipe", strerror(errno));
	tap_ok(store_await(fixture_url("stats.db"), fds[0], &e) == 1, "a store that is there is not waited for");
	if (write(fds[1], "", 1) != 1)
		fixture_fail("write", strerror(errno));
	tap_ok(store_await(fixture_nowhere(), fds[0], &e) == 0,
	    "the descriptor that says stop ends the wait for one that is not");
	close(fds[0]);
	close(fds[1]);
}

static void
awaiting_files(void)
{
	struct error e = { 0 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, create_store, (void *)(uintptr_t)"late.db") != 0)
		fixture_fail("pthread_create", "");
	tap_ok(store_await("late.db", -1, &e) == 1, "one that is made meanwhile ends the wait");
	pthread_join(thread, NULL);
	tap_ok(store_await("missing/never.db", -1, &e) == -1 && e.kind == ERROR_ABSENT,
	    "where there is no directory it is not waited for");
}

/* ---- what a server has its own tools for ---------------------------------------------------- */

static void
refusals(void)
{
	struct store *s = fixture_open("stats.db", STORE_WRITE);
	struct store_salvaged saved;
	struct error e = { 0 };

	tap_ok(store_backup(s, "copy", &e) == -1 && e.kind == ERROR_USAGE &&
	    strstr(e.text, "pg_dump") != NULL && access("copy", F_OK) == -1, "no backup: %s", e.text);
	tap_ok(store_salvage(s, "old.db", &saved, &e) == -1 && e.kind == ERROR_USAGE, "no salvage: %s",
	    e.text);
	store_close(&s);
}

int
main(int argc, char **argv)
{
	struct findings f;

	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	stats();
	watching();
	awaiting();
	tap_ok(verify("stats.db", &f) == 0, "nothing is wrong with what was added");
	if (fixture_maker != NULL) {
		refusals();
	} else {   /* what is the matter with files, and can happen to them */
		verification();
		backup();
		watching_files();
		awaiting_files();
	}
	return tap_done();
}
