/* What comes out of a damaged store: all that its pages still hold, each record
 * as it was and once, and the others counted. */
#include "fixture.h"
#include "sqlite/db.h"

enum { RECORDS = 20000, PAGE = 4096, LONG = 30000 };

static char *file;      /* a store that is whole, closed */
static size_t size;
static char long_text[LONG];

/* Some messages do not fit into a page. */
static void
lengthen(struct sample *s, size_t i)
{
	size_t len = i % 500 == 7 ? LONG : i % 100 == 7 ? 1500 : 0;

	if (len > 0)
		s->record.message = (struct str){ long_text + i % 10, len - 10 };
}

static struct sample *
make_samples(size_t n)
{
	struct sample *samples = fixture_samples(0, n);

	for (size_t i = 0; i < n; i++) {
		lengthen(&samples[i], i);
		if (i % 300 == 0)
			samples[i].record.extra = str_of("{\"pid\":7,\"tags\":[\"a\",\"b\"]}");
	}
	return samples;
}

/* ---- what came out ------------------------------------------------------------- */

struct outcome {
	struct store_salvaged s;
	size_t records;
	size_t changed;    /* of them, not as any record was */
	size_t twice;
	size_t lost_names;
};

static int
compare_samples(const void *a, const void *b)
{
	const struct sample *x = *(struct sample *const *)a, *y = *(struct sample *const *)b;

	return x->record.time < y->record.time ? -1 : x->record.time > y->record.time;
}

static bool
same(const struct record *a, const struct record *b)
{
	return a->kind == b->kind && a->time == b->time && a->level == b->level &&
	    str_equal(a->watchdog, b->watchdog) && str_equal(a->sender, b->sender) &&
	    str_equal(a->message, b->message) && str_equal(a->extra, b->extra);
}

/* Find each record of the new store among those that went into the old one. */
static void
look_through(struct outcome *o)
{
	struct sample *samples = make_samples(RECORDS);
	struct sample **sorted = calloc(RECORDS, sizeof(*sorted));
	bool *seen = calloc(RECORDS, sizeof(*seen));
	struct store *s = fixture_open("new.db", STORE_READ);
	struct query q = query_all();
	struct error e;
	struct answer *a = store_ask(s, &q, &e);
	struct record r;
	size_t at = 0;
	int rc;

	if (a == NULL || seen == NULL || sorted == NULL)
		fixture_fail("look_through", e.text);
	for (size_t i = 0; i < RECORDS; i++)
		sorted[i] = &samples[i];
	qsort(sorted, RECORDS, sizeof(*sorted), compare_samples);
	while ((rc = answer_next(a, &r, &e)) == 1) {
		size_t i;
		o->records++;
		o->lost_names += strncmp(r.watchdog.data, "lost-", 5) == 0;
		while (at < RECORDS && sorted[at]->record.time < r.time)
			at++;
		for (i = at; i < RECORDS && sorted[i]->record.time == r.time; i++)
			if (same(&sorted[i]->record, &r))
				break;
		if (i == RECORDS || sorted[i]->record.time != r.time)
			o->changed++;
		else if (seen[i])
			o->twice++;
		else
			seen[i] = true;
	}
	if (rc == -1)
		fixture_fail("answer_next", e.text);
	answer_close(&a);
	store_close(&s);
	free(seen);
	free(sorted);
	free(samples);
}

/* Salvage old.db, as it is, into a new store. */
static struct outcome
salvage(void)
{
	struct outcome o = { 0 };
	struct store *s;
	struct error e;

	unlink("new.db");
	unlink("new.db-wal");
	unlink("new.db-shm");
	s = fixture_open("new.db", STORE_WRITE);
	if (store_salvage(s, "old.db", &o.s, &e) == -1)
		fixture_fail("store_salvage", e.text);
	store_close(&s);
	look_through(&o);
	return o;
}

/* Nothing twice, nothing changed, and at least `least` records; and all that
 * are missing counted, if they can be. */
static void
expect(struct outcome o, size_t least, const char *what)
{
	uint64_t sum = o.s.records + o.s.lost;

	if (!tap_ok(o.records == o.s.records && o.twice == 0 && o.changed == 0 &&
	    o.records >= least && (o.s.lost_is_minimum ? sum <= RECORDS : sum == RECORDS), "%s", what))
		printf("# %zu records, %zu twice, %zu changed; said: %llu, lost %s%llu\n", o.records,
		    o.twice, o.changed, (unsigned long long)o.s.records,
		    o.s.lost_is_minimum ? "at least " : "", (unsigned long long)o.s.lost);
}

/* ---- damage ---------------------------------------------------------------------- */

/* The store, with `pages` pages from `first` on (counted from 1) zeroed. */
static void
zero(size_t first, size_t pages)
{
	char *copy = malloc(size);

	if (copy == NULL)
		fixture_fail("zero", "out of memory");
	memcpy(copy, file, size);
	for (size_t i = (first - 1) * PAGE; i < (first - 1 + pages) * PAGE && i < size; i++)
		copy[i] = 0;
	fixture_write("old.db", copy, size);
	free(copy);
}

static size_t
root_of(const char *table)
{
	struct error e;
	struct db *db = db_open("whole.db", DB_WRITE, &e);
	char sql[128];
	int64_t root;

	snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	if (db == NULL || db_get_int(db, sql, &root, &e) == -1 || root == 0)
		fixture_fail(sql, e.text);
	db_close(&db);
	return (size_t)root;
}

static void
whole(void)
{
	struct outcome o;
	char *after;
	size_t after_size;

	zero(1, 0);
	o = salvage();
	expect(o, RECORDS, "out of a store that is whole comes everything");
	tap_ok(o.s.lost == 0 && !o.s.lost_is_minimum && o.s.unnamed == 0, "and nothing is called lost");
	after = fixture_read("old.db", &after_size);
	tap_ok(after_size == size && memcmp(after, file, size) == 0 &&
	    access("old.db-wal", F_OK) == -1 && access("old.db-shm", F_OK) == -1,
	    "the old store is as it was");
	free(after);
}

static void
lost_pages(void)
{
	static const char *const inner[] = { "log", "notification", "block", "block_index", "moment",
		"mark", "stray", "head", "sqlite_sequence" };
	size_t pages = size / PAGE;
	struct outcome o;
	char *copy;

	zero(1, 1);
	expect(salvage(), RECORDS, "without the first page, everything");
	copy = malloc(size);
	memcpy(copy, file, size);
	memset(copy, 0xff, 100);
	fixture_write("old.db", copy, size);
	expect(salvage(), RECORDS, "with its header overwritten, everything");
	free(copy);
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		char what[80];
		snprintf(what, sizeof(what), "without the root of '%s', everything", inner[i]);
		zero(root_of(inner[i]), 1);
		expect(salvage(), RECORDS, what);
	}
	zero(2, 1);
	o = salvage();
	tap_ok(o.records == RECORDS && o.twice == 0 && o.s.lost_is_minimum,
	    "without the map of its pages, everything");
	zero(pages / 2, 30);
	o = salvage();
	expect(o, RECORDS - 30 * 60, "with 30 pages lost in the middle, all but what was on them");
	tap_ok(o.s.lost > 0, "and that is counted");
	zero(18, pages / 3);
	expect(salvage(), RECORDS / 2, "with a third of its pages lost, the rest");
	fixture_write("old.db", file, size / 2 + 1000);
	expect(salvage(), RECORDS / 3, "cut off in the middle, what was before that");
}

static void
lost_names(void)
{
	struct outcome o;

	zero(root_of("watchdog"), 1);
	o = salvage();
	expect(o, RECORDS, "names that the table has lost come from its index");
	tap_ok(o.s.unnamed == 0, "and are not called lost");
	zero(root_of("watchdog"), 2);   /* the table's and the index's are neighbours */
	o = salvage();
	tap_ok(o.records == RECORDS && o.twice == 0 && o.s.unnamed == RECORDS &&
	    o.lost_names == RECORDS, "names that are lost are made of their numbers");
}

/* ---- what else there may be -------------------------------------------------------- */

/* A store of which most is in the WAL still, as after a crash. */
static void
in_the_wal(void)
{
	struct sample *samples = make_samples(RECORDS);
	struct store *s = fixture_open("live.db", STORE_WRITE);
	struct outcome o;
	char *wal;
	size_t wal_size;

	fixture_add(s, samples, RECORDS, 100);
	fixture_copy("live.db", "old.db");
	store_close(&s);
	wal = fixture_read("old.db-wal", &wal_size);
	o = salvage();
	expect(o, RECORDS, "what only the WAL has comes out of it");
	if (!tap_ok(wal_size > 100000, "(it had something)"))
		printf("# %zu bytes\n", wal_size);
	wal[wal_size - 100] ^= 1;
	fixture_write("old.db-wal", wal, wal_size);
	o = salvage();
	tap_ok(o.twice == 0 && o.changed == 0 && o.records >= RECORDS / 2 && o.records <= RECORDS,
	    "of a WAL with a broken end the commits before that count");
	memset(wal, 0, 32);
	fixture_write("old.db-wal", wal, wal_size);
	o = salvage();
	tap_ok(o.twice == 0 && o.changed == 0, "a WAL without its header does no harm");
	unlink("old.db-wal");
	free(wal);
	free(samples);
}

/* What was purged stays purged, though the pages still hold it. */
static void
purged(void)
{
	struct store *s;
	struct purge p = { .now = fixture_time + RECORDS / 8, .level_min = INT64_MIN,
		.window = { RECORDS / 16, RECORDS / 16 } };
	struct purged gone;
	struct store_stats st;
	struct outcome o;
	struct error e;

	zero(1, 0);
	s = fixture_open("old.db", STORE_PURGE);
	if (store_purge(s, &p, NULL, &gone, &e) == -1 || store_stats(s, &st, &e) == -1)
		fixture_fail("store_purge", e.text);
	store_close(&s);
	o = salvage();
	tap_ok(gone.rows[0] > 1000 && o.records == st.rows[0] + st.rows[1] && o.twice == 0 &&
	    o.changed == 0, "what was purged does not come back");
	tap_ok(o.s.lost == 0 && !o.s.lost_is_minimum, "and is not called lost");
	unlink("old.db-wal");
	unlink("old.db-shm");
}

static void
marks(void)
{
	static const char *const sources[] = { "a", "b" };
	struct store *s = fixture_open("marked.db", STORE_WRITE);
	struct store_offer o[2] = { { .refused = true, .seq = 10 }, { .refused = true, .seq = 20 } };
	struct store_offer ahead = { .refused = true, .seq = 15, .source = str_of("a") };
	struct store_added added;
	struct store_salvaged out;
	struct error e;
	bool settled[3];

	for (int i = 0; i < 2; i++)
		o[i].source = str_of(sources[i]);
	if (store_add(s, o, 2, &added, &e) == -1)
		fixture_fail("store_add", e.text);
	store_close(&s);
	s = fixture_open("marks.db", STORE_WRITE);
	if (store_add(s, &ahead, 1, &added, &e) == -1 ||
	    store_salvage(s, "marked.db", &out, &e) == -1)
		fixture_fail("store_salvage", e.text);
	o[0].seq = 15;
	for (int i = 0; i < 3; i++) {
		struct store_offer again = i == 2 ? o[1] : o[i];
		again.seq += i == 2;
		again.refused = false;
		again.record = (struct record){ .watchdog = str_of("w"), .sender = str_of("s"),
			.message = str_of("m") };
		if (store_add(s, &again, 1, &added, &e) == -1)
			fixture_fail("store_add", e.text);
		settled[i] = added.duplicates == 1;
	}
	tap_ok(settled[1] && !settled[2], "marks come along");
	tap_ok(settled[0], "but not where the new store's is further");
	store_close(&s);
}

/* Bits that fell over: it ends, and no record comes twice. */
static void
rotten(void)
{
	uint64_t state = 88172645463325252u;
	size_t wrong = 0, least = RECORDS;
	char *copy = malloc(size);

	for (int round = 0; round < 15; round++) {
		struct outcome o;
		memcpy(copy, file, size);
		for (int i = 0; i < 10 << round / 2; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			copy[(state >> 8) % size] ^= (char)(1 << (state & 7));
		}
		fixture_write("old.db", copy, size);
		o = salvage();
		wrong += o.twice > 0 || o.records != o.s.records;
		least = o.records < least ? o.records : least;
	}
	tap_ok(wrong == 0, "of a store with rotten bits no record comes twice");
	tap_ok(least > RECORDS / 10 * 9, "and most come");
	free(copy);
}

static void
refuse(struct store *s, const char *path, enum error_kind kind, const char *what)
{
	struct store_salvaged out;
	struct error e = { 0 };

	if (!tap_ok(store_salvage(s, path, &out, &e) == -1 && e.kind == kind, "%s", what))
		printf("# %s\n", e.text);
}

static void
refusals(void)
{
	struct store *s = fixture_open("new.db", STORE_WRITE);
	struct error e;
	struct db *other = db_open("other.db", DB_CREATE, &e);
	char noise[3 * PAGE];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * i * 31 >> 3);
	fixture_write("noise", noise, sizeof(noise));
	fixture_write("empty", "", 0);
	if (other == NULL || db_exec(other, "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);"
	    "INSERT INTO log VALUES (1, 'a')", &e) == -1)
		fixture_fail("other.db", e.text);
	db_close(&other);
	refuse(s, "missing", ERROR_ABSENT, "a file that is not there is not salvaged");
	refuse(s, "new.db", ERROR_USAGE, "nor is a store salvaged into itself");
	refuse(s, "noise", ERROR_INVALID, "nor noise");
	refuse(s, "empty", ERROR_INVALID, "nor nothing");
	refuse(s, ".", ERROR_INVALID, "nor a directory");
	refuse(s, "other.db", ERROR_INVALID, "nor somebody else's database");
	store_close(&s);
}

int
main(void)
{
	struct sample *samples;
	struct store *s;

	fixture_begin();
	for (size_t i = 0; i < LONG; i++)
		long_text[i] = (char)(i % 77 == 76 ? '\n' : 'a' + i / 77 % 26);
	samples = make_samples(RECORDS);
	s = fixture_open("whole.db", STORE_WRITE);
	fixture_add(s, samples, RECORDS, 3000);
	store_close(&s);
	free(samples);
	file = fixture_read("whole.db", &size);
	whole();
	lost_pages();
	lost_names();
	in_the_wal();
	purged();
	marks();
	rotten();
	refusals();
	free(file);
	return tap_done();
}
