/*
 * Tracing, this side of it: a request whose trace is sampled has a note of what its span is to say,
 * and its tenant is told of that span as its parent. Spans are gathered in one buffer, which is
 * handed to tenement-tracer when it is half full or a second old. Nothing here waits: what that
 * does not take is lost, and counted on the board.
 *
 * Without otlp_endpoint all of it is one look at a setting, per request.
 */
#ifndef TEN_PROXY_TRACE_H
#define TEN_PROXY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_head.h"
#include "proxy/deadline.h"
#include "trace_context.h"

struct worker;
struct exchange;

#define TRACE_NOTE_BYTES 1536

/* Of a request whose trace is sampled. */
struct trace_note {
	struct trace_note *next; /* among the free ones */
	uint8_t parent[8];
	uint64_t began_ns, began_us;
	uint64_t wait_until_us, queue_from_us, queue_until_us, answer_us;
	const char *refused; /* static; NULL: it was not */
	struct http_text method, path, host, client;
	uint32_t used;
	char data[TRACE_NOTE_BYTES]; /* what they point into */
};

/* Of every request, while there is tracing. */
struct trace {
	bool own;    /* the tenant is told of .context, and not of what the client said */
	bool begins; /* what the client said is no part of it, tracestate neither */
	struct trace_context context;
	struct trace_note *note; /* NULL: it is not sampled */
};

/* Of one worker. */
struct trace_out {
	int fd; /* -1: there is none */
	char *batch;
	size_t len;
	struct deadline due;
	uint64_t blocked_until_ms;
	struct trace_note *free_notes;
	uint32_t free_count;
};

void trace_init(struct worker *worker, int fd);
void trace_turn(struct worker *worker);
void trace_end(struct worker *worker);

/* The request's head is there, and its target. */
void trace_begin(struct exchange *exchange, const struct http_head *head);

/* Whether the tenant gets FIELD of the client's, when there is tracing. */
bool trace_keeps(const struct trace *trace, const struct http_field *field);

/* It is over: its span goes out. Called when there is a note. */
void trace_write(struct exchange *exchange);

#endif
