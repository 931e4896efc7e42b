#include "buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t size_bytes[BUFFER_SIZES] = {
	[BUFFER_SMALL] = BUFFER_SMALL_BYTES,
	[BUFFER_NORMAL] = BUFFER_BYTES,
	[BUFFER_LARGE] = BUFFER_LARGE_BYTES,
};

bool buffer_can_trim(const struct buffer_pool *pool)
{
	return pool->sizes[BUFFER_SMALL].count > BUFFER_SPARE ||
	       pool->sizes[BUFFER_NORMAL].count > BUFFER_SPARE || pool->sizes[BUFFER_LARGE].count;
}

static char *free_take(struct buffer_pool *pool, enum buffer_size size)
{
	if (!pool->sizes[size].count)
		return NULL;
	pool->sizes[size].count--;
	if (pool->sizes[size].count < pool->sizes[size].least)
		pool->sizes[size].least = pool->sizes[size].count;
	return pool->sizes[size].free[pool->sizes[size].count];
}

static bool lend(struct http_window *window, char *data, uint32_t room)
{
	window->data = data;
	window->room = data ? room : 0;
	http_window_reset(window);
	return data != NULL;
}

bool buffer_take(struct buffer_pool *pool, struct http_window *window, uint32_t room)
{
	enum buffer_size size = room <= BUFFER_SMALL_BYTES ? BUFFER_SMALL : BUFFER_NORMAL;
	char *data;

	assert(!window->data);
	if (room > BUFFER_BYTES) {
		/* Of no size that is kept. */
		if (room <= BUFFER_LARGE_BYTES)
			room = BUFFER_LARGE_BYTES + 1;
		return lend(window, malloc(room), room);
	}
	data = free_take(pool, size);
	if (!data)
		data = malloc(size_bytes[size]);
	/* An answer that says so is still to be written. */
	if (!data && size == BUFFER_SMALL) {
		size = BUFFER_NORMAL;
		data = free_take(pool, size);
	}
	return lend(window, data, size_bytes[size]);
}

bool buffer_take_large(struct buffer_pool *pool, struct http_window *window)
{
	char *data = free_take(pool, BUFFER_LARGE);

	assert(!window->data);
	if (!data && pool->large_count < BUFFER_LARGE_MAX) {
		data = malloc(BUFFER_LARGE_BYTES);
		pool->large_count += data != NULL;
	}
	return lend(window, data, BUFFER_LARGE_BYTES);
}

void buffer_give(struct buffer_pool *pool, struct http_window *window)
{
	enum buffer_size size = 0;

	while (size < BUFFER_SIZES && window->room != size_bytes[size])
		size++;
	if (size < BUFFER_SIZES && pool->sizes[size].count < BUFFER_FREE_MAX)
		pool->sizes[size].free[pool->sizes[size].count++] = window->data;
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

void buffer_trim(struct buffer_pool *pool)
{
	for (enum buffer_size size = 0; size < BUFFER_SIZES; size++) {
		uint32_t spare = size == BUFFER_LARGE ? 0 : BUFFER_SPARE;
		uint32_t least = pool->sizes[size].least;
		uint32_t unused = least > spare ? least - spare : 0;

		for (uint32_t i = 0; i < unused; i++)
			free(pool->sizes[size].free[--pool->sizes[size].count]);
		if (size == BUFFER_LARGE)
			pool->large_count -= unused;
		pool->sizes[size].least = pool->sizes[size].count;
	}
}

uint32_t buffer_flush(struct buffer_pool *pool)
{
	uint32_t freed = 0;

	for (enum buffer_size size = 0; size < BUFFER_SIZES; size++) {
		freed += pool->sizes[size].count;
		if (size == BUFFER_LARGE)
			pool->large_count -= pool->sizes[size].count;
		while (pool->sizes[size].count)
			free(pool->sizes[size].free[--pool->sizes[size].count]);
		pool->sizes[size].least = 0;
	}
	return freed;
}
