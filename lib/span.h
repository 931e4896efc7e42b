/*
 * A span as a proxy worker hands it to tenement-tracer: one message of a SOCK_SEQPACKET socket
 * holds several. Both are of one build or nearly: a message begins with a version.
 */
#ifndef TEN_SPAN_H
#define TEN_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_field.h"

#define SPAN_BATCH_MAX 65536 /* bytes of one message */
#define SPAN_TEXT_MAX  1024  /* of each text; what is longer is cut */

struct span {
	uint8_t trace[16], id[8];
	uint8_t parent[8];      /* all 0: it has none */
	uint64_t began_ns;      /* since 1970 */
	uint64_t took_us;       /* all times below are counted from there, too */
	uint64_t wait_from_us;  /* it waited for its tenant */
	uint64_t wait_until_us; /* 0: it did not */
	uint64_t queue_from_us; /* it waited for a place of max_concurrent */
	uint64_t queue_until_us;
	uint64_t answer_us; /* the answer's head had come; 0: it never did */
	uint16_t status;    /* 0: the client left before there was one */
	uint8_t minor;      /* HTTP/1.minor */
	uint8_t upgraded;
	struct http_text method, path, host, client, tenant, refused;
};

/* Append to the *LEN bytes of BATCH, which has room for SIZE. False: it does not fit. */
bool span_add(char *batch, size_t size, size_t *len, const struct span *span);

/* The next of the LEN bytes at BATCH; *AT begins at 0. False: that was the last, or what follows is
 * none (then *AT is not LEN). The texts are in BATCH. */
bool span_next(const char *batch, size_t len, size_t *at, struct span *span);

#endif
