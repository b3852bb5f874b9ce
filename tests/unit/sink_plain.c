/* sink.h: a descriptor that is only written to. */
#include "sink_rig.h"

#include <sys/socket.h>

static void
begin(struct rig *r, int fds[2], bool sockets)
{
	if ((sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds)) == -1)
		fixture_fail("pipe", strerror(errno));
	rig_begin(r, (struct sink_settings){ .fd = fds[1] });
	rig_work(r);
}

/* Read what is there, but without waiting. */
static size_t
read_some(int fd, struct buf *b)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = 0;

	if (buf_reserve(b, 10000) == -1)
		fixture_fail("read_some", "out of memory");
	if (poll(&p, 1, 0) == 1 && (n = read(fd, b->data + b->len, 10000)) > 0)
		b->len += (size_t)n;
	return n > 0 ? (size_t)n : 0;
}

static void
written_is_settled(void)
{
	struct buf got = { 0 }, want = { 0 };
	struct rig r;
	int fds[2];

	begin(&r, fds, false);
	tap_ok(sink_up(r.sink) && !rig_ready(&r), "with nothing to write there is nothing to do");
	rig_offer(&r, "a", 1, 2);
	rig_offer(&r, "b", 1, 1);
	rig_lines(&want, "a", 1, 2);
	rig_lines(&want, "b", 1, 1);
	sink_flush(r.sink);
	read_some(fds[0], &got);
	tap_ok(got.len == want.len && memcmp(got.data, want.data, got.len) == 0,
	    "what is flushed is written at once");
	tap_ok(r.count == 0 && rig_ready(&r), "settling it is left to be done");
	tap_ok(rig_work(&r) && r.count == 2, "and done then");
	tap_is(r.settled.data, "a:1-2 b:1-1 ", "in order");
	tap_ok(!rig_ready(&r) || (rig_work(&r) && !rig_ready(&r)), "and that is all");
	r.more = 3;
	rig_offer(&r, "a", 3, 3);
	tap_ok(rig_settle(&r, 6), "more may be offered as something is settled");
	tap_ok(rig_end(&r, 0) == 0, "nothing is left");
	tap_ok(close(fds[1]) == 0, "the descriptor is not closed");
	close(fds[0]);
	buf_free(&got);
	buf_free(&want);
}

static void
slow_reader(bool sockets)
{
	struct buf got = { 0 }, want = { 0 };
	struct rig r;
	int fds[2], flags;
	bool kept;

	begin(&r, fds, sockets);
	flags = fcntl(fds[1], F_GETFL);
	for (int i = 0; i < 100; i++) {
		rig_offer(&r, "a", i * 1000, i * 1000 + 999);
		rig_lines(&want, "a", i * 1000, i * 1000 + 999);
	}
	sink_flush(r.sink);
	while (rig_ready(&r) && rig_work(&r))
		;
	tap_ok(r.count < 100, "a full %s is not waited for", sockets ? "socket" : "pipe");
	kept = fcntl(fds[1], F_GETFL) == flags;
	tap_ok(kept && (flags & O_NONBLOCK) == 0, "though it would block: its flags stay");
	while (read_some(fds[0], &got) > 0 || r.count < 100)
		rig_work(&r);
	tap_ok(got.len == want.len && memcmp(got.data, want.data, got.len) == 0,
	    "all of it arrives as it is read");
	tap_ok(r.count == 100 && rig_stats(&r).lines == 100000, "and is settled");
	tap_is(r.said.data, "", "there is nothing to say about it");
	rig_end(&r, 0);
	close(fds[0]);
	close(fds[1]);
	buf_free(&got);
	buf_free(&want);
}

static void
slow_readers(void)
{
	slow_reader(false);
	slow_reader(true);
}

static void
nobody_reads(void)
{
	struct rig r;
	int fds[2];

	for (int sockets = 0; sockets < 2; sockets++) {
		begin(&r, fds, sockets);
		close(fds[0]);
		tap_ok(rig_ready(&r) && !rig_work(&r) && r.error.kind == ERROR_GONE,
		    "a reader that goes is found without writing");
		rig_end(&r, 0);
		close(fds[1]);

		begin(&r, fds, sockets);
		rig_offer(&r, "a", 1, 1);
		sink_flush(r.sink);
		close(fds[0]);
		rig_offer(&r, "a", 2, 2);
		sink_flush(r.sink);
		tap_ok(rig_ready(&r) && !rig_work(&r) && r.error.kind == ERROR_GONE,
		    "and by writing");
		tap_is(r.settled.data, "a:1-1 ", "what was written before is settled");
		tap_ok(rig_end(&r, 0) == 1, "the rest is not");
		close(fds[1]);
	}
}

static void
files(void)
{
	int fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), full, null;
	struct buf want = { 0 };
	char *got;
	size_t size;
	struct rig r;

	rig_begin(&r, (struct sink_settings){ .fd = fd });
	rig_offer(&r, "a", 1, 5000);
	rig_offer(&r, "a", 5001, 5001);
	rig_lines(&want, "a", 1, 5001);
	tap_ok(rig_work(&r) && r.count == 2, "a file takes everything at once");
	got = fixture_read("file", &size);
	tap_ok(size == want.len && memcmp(got, want.data, size) == 0, "as it was offered");
	free(got);
	rig_end(&r, 0);
	close(fd);

	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	rig_begin(&r, (struct sink_settings){ .fd = null });
	rig_offer(&r, "a", 1, 5000);
	tap_ok(rig_work(&r) && r.count == 1, "and so does nothing");
	rig_end(&r, 0);
	close(null);

	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	rig_begin(&r, (struct sink_settings){ .fd = full });
	rig_work(&r);
	rig_offer(&r, "a", 1, 5);
	sink_flush(r.sink);
	tap_ok(rig_ready(&r) && !rig_work(&r) && r.error.kind == ERROR_FULL && r.count == 0,
	    "a full disk is an error");
	tap_ok(rig_end(&r, 0) == 5, "and nothing is settled by it");
	close(full);
	buf_free(&want);
}

int
main(void)
{
	static void (*const tests[])(void) = { written_is_settled, slow_readers, nobody_reads, files,
		NULL };

	return rig_main(tests);
}
