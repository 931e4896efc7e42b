#include "http_body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char last_chunk[] = "0\r\n\r\n";

void http_window_reset(struct http_window *window)
{
	window->at = window->ready = window->end = HTTP_WINDOW_BEFORE;
}

void http_transfer_init(
	struct http_transfer *transfer, enum http_body from, uint64_t length, enum http_coding to)
{
	*transfer = (struct http_transfer){ .from = from, .to = to };
	http_chunk_init(&transfer->chunk);
	if (from == HTTP_BODY_LENGTH)
		transfer->left = length;
	transfer->done = from == HTTP_BODY_NONE || (from == HTTP_BODY_LENGTH && !length);
}

/* Move the data of the chunks in DATA together. Returns how many bytes of it were used. */
static int64_t chunks_decode(struct http_chunk *chunk, char *data, size_t len, size_t *data_len)
{
	size_t used = 0;

	*data_len = 0;
	while (used < len && !http_chunk_done(chunk)) {
		size_t piece;
		int64_t bytes = http_chunk_next(chunk, data + used, len - used, &piece);
		if (bytes < 0)
			return -1;
		used += (size_t)bytes;
		memmove(data + *data_len, data + used - piece, piece);
		*data_len += piece;
	}
	return (int64_t)used;
}

/* Put the framing of a chunk around the LEN bytes at .ready, and the last chunk behind when the
 * body is done. The rest, which begins at REST, moves up to what is then .ready. */
static void chunk_encode(
	const struct http_transfer *transfer, struct http_window *window, size_t len, size_t rest)
{
	size_t rest_len = window->end - rest;
	size_t behind = (len ? 2 : 0) + (transfer->done ? sizeof(last_chunk) - 1 : 0);
	char *data_end = window->data + window->ready + len;

	memmove(data_end + behind, window->data + rest, rest_len);
	if (len) {
		char size[HTTP_WINDOW_BEFORE];
		int before = snprintf(size, sizeof(size), "%zx\r\n", len);
		window->at -= (uint32_t)before;
		memcpy(window->data + window->at, size, (size_t)before);
		memcpy(data_end, "\r\n", 2);
		data_end += 2;
	}
	if (transfer->done)
		memcpy(data_end, last_chunk, sizeof(last_chunk) - 1);
	window->ready += (uint32_t)(len + behind);
	window->end = window->ready + (uint32_t)rest_len;
}

int http_transfer_take(struct http_transfer *transfer, struct http_window *window)
{
	char *data = window->data + window->ready;
	size_t len = window->end - window->ready;
	size_t data_len = len;
	int64_t used = (int64_t)len;

	assert(window->at == window->ready && window->at >= HTTP_WINDOW_BEFORE);
	if (transfer->done)
		return 0;
	if (transfer->from == HTTP_BODY_LENGTH) {
		if (transfer->left < len)
			data_len = (size_t)transfer->left;
		used = (int64_t)data_len;
		transfer->left -= data_len;
		transfer->done = !transfer->left;
	} else if (transfer->from == HTTP_BODY_CHUNKED) {
		used = chunks_decode(&transfer->chunk, data, len, &data_len);
		if (used < 0)
			return -1;
		transfer->done = http_chunk_done(&transfer->chunk);
	}
	transfer->bytes += data_len;
	if (transfer->to == HTTP_CODING_CHUNKED) {
		chunk_encode(transfer, window, data_len, window->ready + (size_t)used);
		return 0;
	}
	memmove(data + data_len, data + used, len - (size_t)used);
	window->ready += (uint32_t)data_len;
	window->end -= (uint32_t)((size_t)used - data_len);
	return 0;
}

void http_transfer_pass(struct http_transfer *transfer, uint64_t bytes)
{
	assert(transfer->from == HTTP_BODY_LENGTH && transfer->to == HTTP_CODING_PLAIN &&
		bytes <= transfer->left);
	transfer->left -= bytes;
	transfer->bytes += bytes;
	transfer->done = !transfer->left;
}

int http_transfer_eof(struct http_transfer *transfer, struct http_window *window)
{
	if (transfer->done)
		return 0;
	if (transfer->from != HTTP_BODY_UNTIL_CLOSE)
		return -1;
	assert(window->at == window->ready && window->ready == window->end);
	transfer->done = true;
	if (transfer->to == HTTP_CODING_CHUNKED)
		chunk_encode(transfer, window, 0, window->end);
	return 0;
}
