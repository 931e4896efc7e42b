/* A chunked body taken at once and in pieces must decode to the same, and what is chunked anew must
 * decode to that again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http_body.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	char data[2 * BODY_MAX];
	size_t len;
	size_t used;
	bool refused;
	bool done;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void pass(
	struct result *result, const char *data, size_t size, size_t piece, enum http_coding to)
{
	struct http_window window = { .data = malloc(BODY_MAX + 32), .room = BODY_MAX + 32 };
	struct http_transfer transfer;

	require(window.data != NULL);
	http_transfer_init(&transfer, HTTP_BODY_CHUNKED, 0, to);
	result->len = result->used = 0;
	result->refused = false;
	while (result->used < size && !transfer.done && !result->refused) {
		size_t len = size - result->used < piece ? size - result->used : piece;

		http_window_reset(&window);
		memcpy(window.data + window.end, data + result->used, len);
		window.end += (uint32_t)len;
		result->refused = http_transfer_take(&transfer, &window) < 0;
		if (result->refused)
			break;
		require(window.end <= window.room && window.at <= window.ready);
		require(result->len + window.ready - window.at <= sizeof(result->data));
		memcpy(result->data + result->len, window.data + window.at,
			window.ready - window.at);
		result->len += window.ready - window.at;
		result->used += len - (window.end - window.ready);
	}
	result->done = transfer.done;
	free(window.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces, anew, again;
	size_t piece = size ? data[0] % 16 + 1u : 1;

	if (!size || size > BODY_MAX)
		return 0;
	data++;
	size--;
	pass(&whole, (const char *)data, size, BODY_MAX, HTTP_CODING_PLAIN);
	pass(&pieces, (const char *)data, size, piece, HTTP_CODING_PLAIN);
	require(whole.refused == pieces.refused);
	if (whole.refused)
		return 0;
	require(whole.done == pieces.done && whole.used == pieces.used);
	require(whole.len == pieces.len && !memcmp(whole.data, pieces.data, whole.len));
	pass(&anew, (const char *)data, size, BODY_MAX, HTTP_CODING_CHUNKED);
	require(anew.done == whole.done);
	if (!anew.done)
		return 0;
	pass(&again, anew.data, anew.len, BODY_MAX, HTTP_CODING_PLAIN);
	require(again.done && again.len == whole.len && !memcmp(again.data, whole.data, again.len));
	return 0;
}
