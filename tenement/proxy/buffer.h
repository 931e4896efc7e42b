/*
 * The windows that bytes pass through. They are borrowed while something moves and given back;
 * an idle connection has none. A few free ones are kept, so that the steady path never allocates.
 */
#ifndef TEN_PROXY_BUFFER_H
#define TEN_PROXY_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "http_body.h"

#define BUFFER_BYTES    (65536 + 32)
#define BUFFER_FREE_MAX 64 /* 2 MiB */

struct buffer_pool {
	char *free[BUFFER_FREE_MAX];
	uint32_t free_count;
};

/* Give WINDOW, which has no memory yet, room for ROOM bytes or more, framing room included. False:
 * out of memory. */
bool buffer_take(struct buffer_pool *pool, struct http_window *window, uint32_t room);

/* Take the memory back, if there is any. */
void buffer_give(struct buffer_pool *pool, struct http_window *window);

/* More room, contents kept; they may move. False: out of memory, nothing has changed. */
bool buffer_grow(struct buffer_pool *pool, struct http_window *window, uint32_t room);

#endif
