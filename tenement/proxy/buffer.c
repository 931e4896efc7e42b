#include "buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool buffer_take(struct buffer_pool *pool, struct http_window *window, uint32_t room)
{
	assert(!window->data);
	if (room <= BUFFER_BYTES)
		room = BUFFER_BYTES;
	if (room == BUFFER_LARGE_BYTES)
		room++; /* it is not one of those that are counted */
	if (room == BUFFER_BYTES && pool->free_count)
		window->data = pool->free[--pool->free_count];
	else
		window->data = malloc(room);
	window->room = window->data ? room : 0;
	http_window_reset(window);
	return window->data != NULL;
}

bool buffer_take_large(struct buffer_pool *pool, struct http_window *window)
{
	assert(!window->data);
	if (pool->large_free) {
		window->data = pool->large[--pool->large_free];
	} else if (pool->large_count < BUFFER_LARGE_MAX) {
		window->data = malloc(BUFFER_LARGE_BYTES);
		pool->large_count += window->data != NULL;
	}
	if (!window->data)
		return false;
	window->room = BUFFER_LARGE_BYTES;
	http_window_reset(window);
	return true;
}

void buffer_give(struct buffer_pool *pool, struct http_window *window)
{
	if (window->room == BUFFER_LARGE_BYTES)
		pool->large[pool->large_free++] = window->data;
	else if (window->room == BUFFER_BYTES && pool->free_count < BUFFER_FREE_MAX)
		pool->free[pool->free_count++] = window->data;
	else
		free(window->data);
	*window = (struct http_window){ 0 };
}

bool buffer_grow(struct buffer_pool *pool, struct http_window *window, uint32_t room)
{
	struct http_window wide = { 0 };

	if (room <= window->room)
		return true;
	if (!buffer_take(pool, &wide, room))
		return false;
	memcpy(wide.data, window->data, window->end);
	wide.at = window->at;
	wide.ready = window->ready;
	wide.end = window->end;
	buffer_give(pool, window);
	*window = wide;
	return true;
}
