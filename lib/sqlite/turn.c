/*
 * Whose turn it is to write. SQLite's write lock goes to whoever asks at the
 * right moment, so a writer that commits and begins again at once keeps all
 * others waiting. Here whoever wants the lock first takes its turn, a lock of
 * our own, and keeps it until it has SQLite's: one who comes straight from a
 * commit finds it taken. The WAL file is what is locked, since SQLite itself
 * locks other files. It is a courtesy only: who is not given the turn in time
 * goes ahead without.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "sqlite/sqlite.h"

enum { NAP_NS = 200000, NAPS = 500 };

void
turn_take(struct sqlite *s)
{
	struct timespec nap = { 0, NAP_NS };
	char name[4096];

	if (s->turn_fd == -1) {
		if ((size_t)snprintf(name, sizeof(name), "%s-wal", s->path) >= sizeof(name))
			return;
		s->turn_fd = open(name, O_RDONLY | O_CLOEXEC);
	}
	for (int i = 0; i < NAPS && s->turn_fd != -1; i++) {
		if (flock(s->turn_fd, LOCK_EX | LOCK_NB) == 0)
			return;
		nanosleep(&nap, NULL);
	}
}

void
turn_leave(struct sqlite *s)
{
	if (s->turn_fd != -1)
		flock(s->turn_fd, LOCK_UN);
}
