/* A stream of events, read in one piece and in pieces: the same events; and what is written of them
 * is read back as it was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sse.h"

static void require(int condition)
{
	if (!condition)
		abort();
}

static void note(void *data, const struct sse_event *event)
{
	text_puts(data, event->event);
	text_add(data, "\n", 1);
	text_puts(data, event->id);
	text_add(data, "\n", 1);
	text_add(data, event->data, event->len);
	text_add(data, "\n\n", 2);
}

static void write_again(void *data, const struct sse_event *event)
{
	sse_put(data, strcmp(event->event, "message") != 0 ? event->event : NULL, event->id,
		event->data, event->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sse_reader whole = { 0 }, pieces = { 0 }, writer = { 0 }, again = { 0 };
	autotext struct text first = { 0 }, second = { 0 }, stream = { 0 }, third = { 0 };
	const char *bytes = (const char *)data;
	bool good = sse_read(&whole, bytes, size, note, &first);

	for (size_t i = 0; i < size; i++)
		if (!sse_read(&pieces, bytes + i, 1, note, &second))
			break;
	sse_read(&writer, bytes, size, write_again, &stream);
	if (good) {
		require(first.len == second.len &&
			!memcmp(first.data ? first.data : "", second.data ? second.data : "",
				first.len));
		sse_read(&again, stream.data ? stream.data : "", stream.len, note, &third);
		require(first.len == third.len && !memcmp(first.data ? first.data : "",
							  third.data ? third.data : "", first.len));
	}
	sse_reader_free(&whole);
	sse_reader_free(&pieces);
	sse_reader_free(&writer);
	sse_reader_free(&again);
	return 0;
}
