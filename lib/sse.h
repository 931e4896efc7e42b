/*
 * Server-Sent Events (text/event-stream): writing them, and reading them back.
 */
#ifndef TEN_SSE_H
#define TEN_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* Add an event. EVENT and ID may be NULL, and have no line breaks; DATA may have some. */
void sse_put(struct text *out, const char *event, const char *id, const char *data, size_t len);

#define SSE_EVENT_MAX (1u << 20) /* bytes of a line, and of an event's data */

struct sse_event {
	const char *event; /* "message" when the stream does not say */
	const char *id;    /* the last that the stream said; "" before that */
	const char *data;
	size_t len;
};

/* `struct sse_reader reader = { 0 };` is at the beginning of a stream. */
struct sse_reader {
	struct text line, event, id, data;
	bool after_cr, has_data, begun;
};

/* Take what came and call EACH for every event that is whole, however the bytes are split. False:
 * something of it is longer than SSE_EVENT_MAX, and the stream cannot be read on. */
bool sse_read(struct sse_reader *reader, const char *bytes, size_t len,
	void (*each)(void *data, const struct sse_event *event), void *data);
void sse_reader_free(struct sse_reader *reader);

#endif
