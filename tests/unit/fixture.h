/*
 * fixture.h - a directory to work in, stores of either engine, and records to fill them with.
 */
#ifndef MONITOR_FIXTURE_H
#define MONITOR_FIXTURE_H

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "store.h"
#include "tap.h"
#include "when.h"

/* A record with room for its strings. */
struct sample {
	struct record record;
	char watchdog[16], sender[16], message[48];
};

__attribute__((noreturn, unused)) static void
fixture_fail(const char *what, const char *why)
{
	printf("Bail out! %s: %s\n", what, why);
	exit(99);
}

static int
fixture_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static char fixture_path[] = "/tmp/monitor-unit-XXXXXX";

static void
fixture_clean(void)
{
	if (chdir("/") == 0)
		nftw(fixture_path, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- stores ---------------------------------------------------------------- */

enum { FIXTURE_STORES = 16, FIXTURE_URL = 256 };

/* A command that makes a new store and prints its URL. NULL: a store is a file, which comes to
 * be when it is first written to. */
static const char *fixture_maker;

/* When the series of samples begins: the last of them have not come yet. */
static double fixture_time;

static void
fixture_make(char url[FIXTURE_URL])
{
	FILE *f = popen(fixture_maker, "r");

	if (f == NULL || fgets(url, FIXTURE_URL, f) == NULL || pclose(f) != 0)
		fixture_fail(fixture_maker, "no store was made");
	url[strcspn(url, "\n")] = '\0';
}

/* The URL of the store that these tests call `name`. Good until the program ends. */
__attribute__((unused)) static const char *
fixture_url(const char *name)
{
	static struct { const char *name; char url[FIXTURE_URL]; } stores[FIXTURE_STORES];
	size_t i = 0;

	if (fixture_maker == NULL)
		return name;
	while (i < FIXTURE_STORES && stores[i].name != NULL && strcmp(stores[i].name, name) != 0)
		i++;
	if (i == FIXTURE_STORES)
		fixture_fail(name, "too many stores");
	if (stores[i].name == NULL) {
		stores[i].name = name;
		fixture_make(stores[i].url);
	}
	return stores[i].url;
}

/* Where there is no store. */
__attribute__((unused)) static const char *
fixture_nowhere(void)
{
	static char url[FIXTURE_URL + 32];

	if (fixture_maker == NULL)
		return "nowhere.db";
	snprintf(url, sizeof(url), "%s&dbname=postgres", fixture_url("nowhere"));
	return url;
}

/* A new directory to be in, removed at exit. Stores come from `maker`, unless it is NULL or "". */
static void
fixture_begin_on(const char *maker)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (mkdtemp(fixture_path) == NULL || chdir(fixture_path) == -1)
		fixture_fail(fixture_path, strerror(errno));
	fixture_maker = maker != NULL && *maker != '\0' ? maker : NULL;
	fixture_time = floor(when_now()) - 3600;
	atexit(fixture_clean);
}

/* Stores are files. */
__attribute__((unused)) static void
fixture_begin(void)
{
	fixture_begin_on(NULL);
}

/* ---- records --------------------------------------------------------------- */

/* The i-th of a series that is always the same, but for when it begins: two kinds, 40
 * watchdogs, 12 senders, times that mostly rise; now and then a time or a level far out. */
__attribute__((unused)) static void
fixture_sample(struct sample *s, uint64_t i)
{
	uint64_t r = (i + 1) * 0x9e3779b97f4a7c15u;

	r = (r ^ r >> 29) * 0xbf58476d1ce4e5b9u;
	r ^= r >> 32;
	s->record = (struct record){
		.kind = r % 10 == 0 ? RECORD_NOTIFICATION : RECORD_LOG,
		.level = (int64_t)(r >> 8) % 6 * 10,
		.time = fixture_time + (double)i / 8 + (double)(r >> 16 & 255) / 64,
	};
	if ((r >> 24) % 500 == 0)
		s->record.time = (double)(r >> 40) / 3;
	if ((r >> 24) % 700 == 1)
		s->record.level = (int64_t)(r >> 32) - 1000;
	s->record.watchdog = (struct str){ s->watchdog,
		(size_t)snprintf(s->watchdog, sizeof(s->watchdog), "w%u", (unsigned)(r >> 33) % 40) };
	s->record.sender = (struct str){ s->sender,
		(size_t)snprintf(s->sender, sizeof(s->sender), "s%u", (unsigned)(r >> 43) % 12) };
	s->record.message = (struct str){ s->message,
		(size_t)snprintf(s->message, sizeof(s->message), "message %llu, %llx",
		(unsigned long long)i, (unsigned long long)r) };
}

/* Samples number `first` and the following n. Caller frees. */
__attribute__((unused)) static struct sample *
fixture_samples(uint64_t first, size_t n)
{
	struct sample *s = calloc(n, sizeof(*s));

	if (s == NULL)
		fixture_fail("fixture_samples", "out of memory");
	for (size_t i = 0; i < n; i++)
		fixture_sample(&s[i], first + i);
	return s;
}

/* Add them, `batch` at a time. */
__attribute__((unused)) static void
fixture_add(struct store *s, const struct sample *samples, size_t n, size_t batch)
{
	struct store_offer *offers = calloc(batch, sizeof(*offers));
	struct store_added added;
	struct error e;

	if (offers == NULL)
		fixture_fail("fixture_add", "out of memory");
	for (size_t i = 0, k; i < n; i += k) {
		for (k = 0; k < batch && i + k < n; k++)
			offers[k].record = samples[i + k].record;
		if (store_add(s, offers, k, &added, &e) == -1)
			fixture_fail("store_add", e.text);
	}
	free(offers);
}

__attribute__((unused)) static struct store *
fixture_open(const char *name, enum store_mode mode)
{
	struct error e;
	struct store *s = store_open(fixture_url(name), mode, &e);

	if (s == NULL)
		fixture_fail("store_open", e.text);
	return s;
}

/* A new store with the first n samples, closed again. */
__attribute__((unused)) static void
fixture_store(const char *name, size_t n)
{
	struct store *s = fixture_open(name, STORE_WRITE);
	struct sample *samples = fixture_samples(0, n);

	fixture_add(s, samples, n, 3000);
	free(samples);
	store_close(&s);
}

/* The whole of a file. Caller frees. NULL: there is none. */
__attribute__((unused)) static char *
fixture_read(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");
	char *data = NULL;

	*size = 0;
	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == -1 || (data = malloc((size_t)ftell(f) + 1)) == NULL)
		fixture_fail(path, strerror(errno));
	*size = (size_t)ftell(f);
	rewind(f);
	if (fread(data, 1, *size, f) != *size)
		fixture_fail(path, strerror(errno));
	fclose(f);
	return data;
}

__attribute__((unused)) static void
fixture_write(const char *path, const char *data, size_t size)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		fixture_fail(path, strerror(errno));
}

/* A store and its WAL, as they are now; what was there goes. */
__attribute__((unused)) static void
fixture_copy(const char *from, const char *to)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < 3; i++) {
		char source[64], target[64], *data;
		size_t size;
		snprintf(source, sizeof(source), "%s%s", from, suffixes[i]);
		snprintf(target, sizeof(target), "%s%s", to, suffixes[i]);
		unlink(target);
		if (i < 2 && (data = fixture_read(source, &size)) != NULL) {
			fixture_write(target, data, size);
			free(data);
		}
	}
}

#endif
