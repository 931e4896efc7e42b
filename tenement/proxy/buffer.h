/*
 * The windows that bytes pass through. They are borrowed while something moves and given back;
 * an idle connection has none. A few free ones are kept, so that the steady path never allocates.
 */
#ifndef TEN_PROXY_BUFFER_H
#define TEN_PROXY_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "http_body.h"

#define BUFFER_BYTES       (64 * 1024 + HTTP_WINDOW_BEFORE + HTTP_WINDOW_AFTER)
#define BUFFER_FREE_MAX    64
#define BUFFER_LARGE_BYTES (256 * 1024 + HTTP_WINDOW_BEFORE + HTTP_WINDOW_AFTER)
#define BUFFER_LARGE_MAX   16 /* of them there are no more */

struct buffer_pool {
	char *free[BUFFER_FREE_MAX];
	uint32_t free_count;
	char *large[BUFFER_LARGE_MAX]; /* that are free */
	uint32_t large_free;
	uint32_t large_count; /* of all */
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

#endif
