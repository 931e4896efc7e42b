#include "proxy/trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/exchange.h"
#include "proxy/rewrite.h"
#include "proxy/worker.h"
#include "span.h"

#define NOTE_FREE_MAX 256
#define FLUSH_MS      1000
#define FLUSH_BYTES   (SPAN_BATCH_MAX / 2)
#define BLOCKED_MS    20

/* ---- notes ---- */

static struct trace_note *note_take(struct trace_out *out)
{
	struct trace_note *note = out->free_notes;

	if (note) {
		out->free_notes = note->next;
		out->free_count--;
	} else {
		note = malloc(sizeof(*note));
	}
	if (note)
		memset(note, 0, offsetof(struct trace_note, data));
	return note;
}

static void note_give(struct trace_out *out, struct trace_note *note)
{
	if (out->free_count >= NOTE_FREE_MAX) {
		free(note);
		return;
	}
	note->next = out->free_notes;
	out->free_notes = note;
	out->free_count++;
}

static struct http_text note_copy(struct trace_note *note, struct http_text text, size_t most)
{
	struct http_text copy = { note->data + note->used, text.data ? text.len : 0 };

	if (copy.len > most)
		copy.len = most;
	if (copy.len > sizeof(note->data) - note->used)
		copy.len = sizeof(note->data) - note->used;
	if (copy.len)
		memcpy(note->data + note->used, text.data, copy.len);
	note->used += (uint32_t)copy.len;
	return copy;
}

/* ---- a request ---- */

static bool is_field(const struct http_field *field, const char *name)
{
	return http_text_is(field->name, field->name_len, name);
}

/* What the client says of its trace; there may be one such field. */
static bool find_parent(const struct http_head *head, struct trace_context *parent)
{
	const struct http_field *found = NULL;

	for (uint32_t i = 0; i < head->field_count; i++) {
		if (!is_field(&head->fields[i], "traceparent"))
			continue;
		if (found)
			return false;
		found = &head->fields[i];
	}
	return found && trace_context_parse(found->value, found->value_len, parent);
}

static bool new_id(struct worker *worker, uint8_t *id, size_t len)
{
	return worker_random(worker, id, len);
}

static void note_begin(
	struct exchange *exchange, const struct http_head *head, const struct trace_context *parent)
{
	struct trace_note *note = note_take(&exchange->worker->traces);

	if (!note)
		return;
	if (parent)
		memcpy(note->parent, parent->span, sizeof(note->parent));
	note->began_ns = clock_ns(CLOCK_REALTIME);
	note->began_us = exchange->head_us;
	note->method = note_copy(note, head->method_text, 32);
	note->host = note_copy(note, head->authority, 255);
	note->client = note_copy(note, rewrite_real_address(exchange->client, head), 64);
	note->path = note_copy(note, head->path, SPAN_TEXT_MAX);
	exchange->trace.note = note;
}

void trace_begin(struct exchange *exchange, const struct http_head *head)
{
	struct worker *worker = exchange->worker;
	struct trace *trace = &exchange->trace;
	struct trace_context parent;
	bool has_parent = find_parent(head, &parent);

	if (worker->traces.fd < 0)
		return;
	/* Its parent is the tenant's, too, when nothing is said of us. */
	if (has_parent && !parent.sampled)
		return;
	if (!new_id(worker, trace->context.span, sizeof(trace->context.span)))
		return;
	if (has_parent) {
		memcpy(trace->context.trace, parent.trace, sizeof(parent.trace));
		trace->context.sampled = true;
	} else {
		if (!new_id(worker, trace->context.trace, sizeof(trace->context.trace)))
			return;
		trace->context.sampled =
			trace_is_sampled(trace->context.trace, worker->settings.trace_sample);
	}
	trace->own = true;
	trace->begins = !has_parent;
	if (trace->context.sampled)
		note_begin(exchange, head, has_parent ? &parent : NULL);
}

bool trace_keeps(const struct trace *trace, const struct http_field *field)
{
	return !is_field(field, "traceparent") &&
	       (!trace->begins || !is_field(field, "tracestate"));
}

/* ---- what goes out ---- */

static bool flush(struct worker *worker)
{
	struct trace_out *out = &worker->traces;

	if (!out->len)
		return true;
	if (worker->now_ms < out->blocked_until_ms)
		return false;
	if (send(out->fd, out->batch, out->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		out->blocked_until_ms = worker->now_ms + BLOCKED_MS;
		deadline_set(&worker->wheel, &out->due, out->blocked_until_ms);
		return false;
	}
	out->len = 0;
	deadline_stop(&out->due);
	return true;
}

static void due(struct deadline *deadline)
{
	struct trace_out *out =
		(struct trace_out *)((char *)deadline - offsetof(struct trace_out, due));

	flush((struct worker *)((char *)out - offsetof(struct worker, traces)));
}

static void add(struct worker *worker, const struct span *span)
{
	struct trace_out *out = &worker->traces;

	if (!out->batch)
		out->batch = malloc(SPAN_BATCH_MAX);
	if (!out->batch || (!span_add(out->batch, SPAN_BATCH_MAX, &out->len, span) &&
				   !(flush(worker) && span_add(out->batch, SPAN_BATCH_MAX,
							      &out->len, span)))) {
		atomic_fetch_add_explicit(&worker->board->traces.lost, 1, memory_order_relaxed);
		return;
	}
	if (!deadline_is_set(&out->due))
		deadline_set(&worker->wheel, &out->due, worker->now_ms + FLUSH_MS);
}

static uint64_t since(uint64_t then_us, uint64_t now_us)
{
	return now_us > then_us ? now_us - then_us : 0;
}

void trace_write(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct trace_note *note = exchange->trace.note;
	struct route_instance instance;
	uint64_t began = note->began_us;
	struct span span = { .began_ns = note->began_ns,
		.took_us = since(began, clock_us(CLOCK_MONOTONIC)),
		.queue_from_us = since(began, note->queue_from_us),
		.queue_until_us = since(began, note->queue_until_us),
		.answer_us = since(began, note->answer_us),
		.status = exchange->status,
		.minor = exchange->minor,
		.upgraded = exchange->state == EXCHANGE_TUNNEL,
		.method = note->method,
		.path = note->path,
		.host = note->host,
		.client = note->client };

	if (exchange->waited_from_us && note->wait_until_us) {
		span.wait_from_us = since(began, exchange->waited_from_us);
		span.wait_until_us = since(began, note->wait_until_us);
	}
	memcpy(span.trace, exchange->trace.context.trace, sizeof(span.trace));
	memcpy(span.id, exchange->trace.context.span, sizeof(span.id));
	memcpy(span.parent, note->parent, sizeof(span.parent));
	if (exchange->resolved_generation &&
		route_table_instance(worker->table, exchange->target, &instance) && instance.name)
		span.tenant = (struct http_text){ instance.name, strlen(instance.name) };
	if (note->refused)
		span.refused = (struct http_text){ note->refused, strlen(note->refused) };
	add(worker, &span);
	exchange->trace.note = NULL;
	note_give(&worker->traces, note);
}

/* ---- the worker ---- */

void trace_init(struct worker *worker, int fd)
{
	worker->traces.fd = fd;
	worker->traces.due.expired = due;
}

void trace_turn(struct worker *worker)
{
	if (worker->traces.len >= FLUSH_BYTES)
		flush(worker);
}

void trace_end(struct worker *worker)
{
	worker->traces.blocked_until_ms = 0;
	flush(worker);
}
