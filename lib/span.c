#include "span.h"

#include <string.h>

#define SPAN_VERSION 1
#define TEXTS        6

struct head {
	uint32_t version;
	uint16_t lens[TEXTS];
	uint16_t status;
	uint8_t minor, upgraded;
	uint8_t trace[16], id[8], parent[8];
	uint64_t began_ns, took_us, wait_from_us, wait_until_us, queue_from_us, queue_until_us,
		answer_us;
};

static void texts_of(struct span *span, struct http_text *texts[TEXTS])
{
	texts[0] = &span->method;
	texts[1] = &span->path;
	texts[2] = &span->host;
	texts[3] = &span->client;
	texts[4] = &span->tenant;
	texts[5] = &span->refused;
}

bool span_add(char *batch, size_t size, size_t *len, const struct span *span)
{
	struct span copy = *span;
	struct http_text *texts[TEXTS];
	size_t bytes = sizeof(struct head), at = *len;
	struct head head = { .version = SPAN_VERSION,
		.status = span->status,
		.minor = span->minor,
		.upgraded = span->upgraded,
		.began_ns = span->began_ns,
		.took_us = span->took_us,
		.wait_from_us = span->wait_from_us,
		.wait_until_us = span->wait_until_us,
		.queue_from_us = span->queue_from_us,
		.queue_until_us = span->queue_until_us,
		.answer_us = span->answer_us };

	memcpy(head.trace, span->trace, sizeof(head.trace));
	memcpy(head.id, span->id, sizeof(head.id));
	memcpy(head.parent, span->parent, sizeof(head.parent));
	texts_of(&copy, texts);
	for (int i = 0; i < TEXTS; i++) {
		size_t most = texts[i]->data ? texts[i]->len : 0;

		head.lens[i] = (uint16_t)(most < SPAN_TEXT_MAX ? most : SPAN_TEXT_MAX);
		bytes += head.lens[i];
	}
	if (at > size || bytes > size - at)
		return false;
	memcpy(batch + at, &head, sizeof(head));
	at += sizeof(head);
	for (int i = 0; i < TEXTS; i++) {
		if (head.lens[i])
			memcpy(batch + at, texts[i]->data, head.lens[i]);
		at += head.lens[i];
	}
	*len = at;
	return true;
}

bool span_next(const char *batch, size_t len, size_t *at, struct span *span)
{
	struct http_text *texts[TEXTS];
	struct head head;
	size_t bytes = sizeof(head), next = *at;

	if (next > len || bytes > len - next)
		return false;
	memcpy(&head, batch + next, sizeof(head));
	if (head.version != SPAN_VERSION)
		return false;
	for (int i = 0; i < TEXTS; i++) {
		if (head.lens[i] > SPAN_TEXT_MAX)
			return false;
		bytes += head.lens[i];
	}
	if (bytes > len - next)
		return false;
	next += sizeof(head);
	*span = (struct span){ .status = head.status,
		.minor = head.minor,
		.upgraded = head.upgraded,
		.began_ns = head.began_ns,
		.took_us = head.took_us,
		.wait_from_us = head.wait_from_us,
		.wait_until_us = head.wait_until_us,
		.queue_from_us = head.queue_from_us,
		.queue_until_us = head.queue_until_us,
		.answer_us = head.answer_us };
	memcpy(span->trace, head.trace, sizeof(head.trace));
	memcpy(span->id, head.id, sizeof(head.id));
	memcpy(span->parent, head.parent, sizeof(head.parent));
	texts_of(span, texts);
	for (int i = 0; i < TEXTS; i++) {
		*texts[i] = (struct http_text){ batch + next, head.lens[i] };
		next += head.lens[i];
	}
	*at = next;
	return true;
}
