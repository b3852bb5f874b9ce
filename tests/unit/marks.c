/*
 * The sources of a batch: each has one mark, however many there are, and it only rises.
 */
#include <stdlib.h>

#include "marks.h"
#include "tap.h"

enum { MANY = 5000, NAME = 16 };

static bool
many_stay_apart(struct marks *m)
{
	static char names[MANY][NAME];
	bool ok = true;

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++) {
			int n = snprintf(names[i], NAME, "s%d", i);
			struct mark *mark = marks_get(m, (struct str){ names[i], (size_t)n });
			ok = ok && mark != NULL && mark->seq == (round == 0 ? -1 : i) &&
			    mark_move(mark, i + round) && mark == &m->list[i];
		}
	return ok && m->count == MANY;
}

int
main(void)
{
	struct marks m = { 0 };
	struct mark *a = marks_get(&m, str_of("a"));

	tap_ok(a != NULL && a->seq == -1 && !a->moved && !a->known, "a source is not settled at first");
	tap_ok(mark_move(a, 5) && a->moved && a->seq == 5, "a new number moves its mark");
	tap_ok(!mark_move(a, 5) && !mark_move(a, 4) && a->seq == 5, "an old one does not");
	marks_get(&m, (struct str){ "a\0", 2 });
	tap_ok(m.count == 2 && marks_get(&m, str_of("a"))->seq == 5, "names are bytes");
	marks_clear(&m);
	tap_ok(m.count == 0 && marks_get(&m, str_of("a"))->seq == -1, "the next batch knows nothing");
	marks_clear(&m);
	tap_ok(many_stay_apart(&m), "many sources each have a mark, in the order they came");
	marks_free(&m);
	tap_ok(m.count == 0 && m.list == NULL, "and all are given back");
	return tap_done();
}
