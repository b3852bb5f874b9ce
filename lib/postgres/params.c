#include <assert.h>
#include <endian.h>

#include "postgres/pq.h"

/* OIDs of types (pg_type.dat): they never change. */
enum {
	OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701,
	OID_TEXT_ARRAY = 1009, OID_INT8_ARRAY = 1016, OID_FLOAT8_ARRAY = 1022,
};

/* Of arrays: what they are, and hold. */
static const struct { unsigned array, element; } array_types[] = {
	[PQ_TEXTS] = { OID_TEXT_ARRAY, OID_TEXT },
	[PQ_INTS] = { OID_INT8_ARRAY, OID_INT8 },
	[PQ_DOUBLES] = { OID_FLOAT8_ARRAY, OID_FLOAT8 },
};

/* The place of the next; there is one, as no statement of ours has more. */
static int
place(const struct pq_params *p)
{
	assert(p->n < PQ_PARAMS_MAX);
	return p->n;
}

static void
add_param(struct pq_params *p, unsigned type, const void *value, size_t n)
{
	int i = place(p);

	p->types[i] = type;
	p->values[i] = value;
	p->lengths[i] = (int)n;
	p->n++;
}

static void
add_number(struct pq_params *p, unsigned type, uint64_t bits)
{
	unsigned char *number = p->numbers[place(p)];

	bits = htobe64(bits);
	memcpy(number, &bits, sizeof(bits));
	add_param(p, type, number, sizeof(bits));
}

void
pq_int(struct pq_params *p, int64_t n)
{
	add_number(p, OID_INT8, (uint64_t)n);
}

void
pq_double(struct pq_params *p, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	add_number(p, OID_FLOAT8, bits);
}

void
pq_text(struct pq_params *p, struct str s)
{
	add_param(p, OID_TEXT, s.data, s.len);
}

/* The head of an array of one dimension (array_recv()); its length is put in at the end. */
struct array_head {
	uint32_t dimensions, has_null, type, length, lower;
};

int
pq_array_begin(struct buf *b, enum pq_array of)
{
	struct array_head h = { htobe32(1), 0, htobe32(array_types[of].element), 0, htobe32(1) };

	b->len = 0;
	return buf_add(b, &h, sizeof(h));
}

static int
add_element(struct buf *b, const void *data, size_t n)
{
	uint32_t length = htobe32(data != NULL ? (uint32_t)n : UINT32_MAX), count;

	if (buf_reserve(b, sizeof(length) + n) == -1)
		return -1;
	buf_add(b, &length, sizeof(length));
	buf_add(b, data, n);
	memcpy(&count, b->data + offsetof(struct array_head, length), sizeof(count));
	count = htobe32(be32toh(count) + 1);
	memcpy(b->data + offsetof(struct array_head, length), &count, sizeof(count));
	return 0;
}

int
pq_array_text(struct buf *b, struct str s)
{
	return add_element(b, s.data, s.len);
}

int
pq_array_int(struct buf *b, int64_t n)
{
	uint64_t bits = htobe64((uint64_t)n);

	return add_element(b, &bits, sizeof(bits));
}

int
pq_array_double(struct buf *b, double d)
{
	int64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	return pq_array_int(b, bits);
}

void
pq_array(struct pq_params *p, struct buf *b, enum pq_array of)
{
	add_param(p, array_types[of].array, b->data, b->len);
}
