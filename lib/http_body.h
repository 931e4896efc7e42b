/*
 * A message body on its way from one connection to another through one fixed buffer.
 *
 * The bytes between .at and .ready of a window may be passed on as they are. http_transfer_take()
 * looks at what was read behind .ready: it takes the source's framing off and puts the
 * destination's on, in place. More is taken only when all that was ready has been passed on (.at ==
 * .ready): that is the back-pressure.
 */
#ifndef TEN_HTTP_BODY_H
#define TEN_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_chunk.h"
#include "http_head.h"

/* Kept free at either end of a window, for the framing of a chunk. */
#define HTTP_WINDOW_BEFORE 16
#define HTTP_WINDOW_AFTER  16

struct http_window {
	char *data; /* .room bytes, owned by whoever made the window */
	uint32_t room;
	uint32_t at;    /* the next byte to be passed on */
	uint32_t ready; /* behind the last byte that may be passed on */
	uint32_t end;   /* behind the last byte that was read; ready..end is not looked at yet, or
			   behind the end of a body the beginning of the next message */
};

enum http_coding {
	HTTP_CODING_PLAIN, /* by length, or until close */
	HTTP_CODING_CHUNKED,
};

struct http_transfer {
	enum http_body from;
	enum http_coding to;
	bool done;      /* the end of the body has been seen */
	uint64_t left;  /* HTTP_BODY_LENGTH */
	uint64_t bytes; /* of data taken so far */
	struct http_chunk chunk;
};

void http_window_reset(struct http_window *window); /* empty, with room before it */

/* Room for one read at .end. */
static inline size_t http_window_space(const struct http_window *window)
{
	return window->room - HTTP_WINDOW_AFTER - window->end;
}

/* LENGTH counts with HTTP_BODY_LENGTH alone. A body of none or 0 bytes is done at once. */
void http_transfer_init(
	struct http_transfer *transfer, enum http_body from, uint64_t length, enum http_coding to);

/* Look at WINDOW's bytes ready..end. Needs .at == .ready, and HTTP_WINDOW_BEFORE bytes before them.
 * -1: malformed chunks. */
int http_transfer_take(struct http_transfer *transfer, struct http_window *window);

/* BYTES of a body of known length, passed on as it is, went another way than through a window. */
void http_transfer_pass(struct http_transfer *transfer, uint64_t bytes);

/* The source has closed. -1: in the middle of the body. */
int http_transfer_eof(struct http_transfer *transfer, struct http_window *window);

#endif
