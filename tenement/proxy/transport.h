/*
 * One system call at a time between a window and a socket, and the count of what it moved.
 */
#ifndef TEN_PROXY_TRANSPORT_H
#define TEN_PROXY_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "http_body.h"

struct exchange;

enum moved { MOVED_ALL, MOVED_BLOCKED, MOVED_EOF, MOVED_ERROR, MOVED_NO_MEMORY };

static inline uint32_t transport_pending(const struct http_window *window)
{
	return window->ready - window->at;
}

/* Write what is ready of FIRST (may be NULL), then of SECOND, in one call. *BYTES: how much went.
 */
enum moved transport_write(
	int fd, struct http_window *first, struct http_window *second, size_t *bytes);

/* Have a little that is ready of SECOND ride behind what is ready of FIRST, all of which is. */
void transport_join(struct http_window *first, struct http_window *second);

/* Fill an empty window, which borrows its memory for that if it has none. */
enum moved transport_read(struct exchange *exchange, int fd, struct http_window *window);

/* Bytes went to the tenant; to the client. */
void transport_count_in(struct exchange *exchange, size_t bytes);
void transport_count_out(struct exchange *exchange, size_t bytes);

#endif
