/*
 * The windows that bytes pass through. They are borrowed while something moves and given back; an
 * idle connection has none. Free ones are kept as long as they are needed again and again, so that
 * the steady path never allocates.
 */
#ifndef TEN_PROXY_BUFFER_H
#define TEN_PROXY_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "http_body.h"

#define BUFFER_FRAMING (HTTP_WINDOW_BEFORE + HTTP_WINDOW_AFTER)

/* Small for most heads that go out: many of them share what the cache holds. */
#define BUFFER_SMALL_BYTES 2048
#define BUFFER_BYTES       (64 * 1024 + BUFFER_FRAMING)
#define BUFFER_LARGE_BYTES (256 * 1024 + BUFFER_FRAMING)

#define BUFFER_FREE_MAX  1024 /* of a size */
#define BUFFER_LARGE_MAX 16   /* of them there are no more */
#define BUFFER_SPARE     16   /* of the other sizes, are kept in any case */

enum buffer_size { BUFFER_SMALL, BUFFER_NORMAL, BUFFER_LARGE, BUFFER_SIZES };

struct buffer_pool {
	struct {
		char *free[BUFFER_FREE_MAX];
		uint32_t count;
		uint32_t least; /* of .count since the last buffer_trim() */
	} sizes[BUFFER_SIZES];
	uint32_t large_count; /* of all, lent ones too */
};

/* Give WINDOW, which has no memory yet, room for ROOM bytes or more, framing room included. False:
 * out of memory. */
bool buffer_take(struct buffer_pool *pool, struct http_window *window, uint32_t room);

/* As much as a body that comes fast can use. False: none of them is free. */
bool buffer_take_large(struct buffer_pool *pool, struct http_window *window);

/* Take the memory back, if there is any. */
void buffer_give(struct buffer_pool *pool, struct http_window *window);

/* More room, contents kept; they may move. False: out of memory, nothing has changed. */
bool buffer_grow(struct buffer_pool *pool, struct http_window *window, uint32_t room);

/* Free what was not needed since the last time. It has something to look at when there is more than
 * what is kept in any case. */
bool buffer_can_trim(const struct buffer_pool *pool);
void buffer_trim(struct buffer_pool *pool);

/* Free all that is not lent. Returns how many. */
uint32_t buffer_flush(struct buffer_pool *pool);

#endif
