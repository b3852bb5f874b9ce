/*
 * proto_reader.h - what stands behind struct proto: for lib/proto*.c, and nobody else.
 */
#ifndef MONITOR_PROTO_READER_H
#define MONITOR_PROTO_READER_H

#include "json.h"
#include "ndjson.h"
#include "proto.h"

struct proto {
	struct json json;         /* the message that was read last */
	struct ndjson *records;   /* reads the records in it */
	struct buf rest;          /* an object without some of its members */
};

#endif
