#include "access_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "http_head.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/rewrite.h"
#include "proxy/worker.h"

#define NOTE_ROOM     1024 /* of the notes that are kept for use */
#define NOTE_FREE_MAX 256
#define FLUSH_MS      1000
#define FLUSH_BYTES   (ACCESS_BATCH_MAX / 2)
#define BLOCKED_MS    20
#define CLIENT_GONE   499

/* Of what a client sent, no more than is written. */
#define TARGET_MAX 8192
#define FIELD_MAX  2048
#define WORD_MAX   512

/* ---- notes ---- */

static struct access_note *note_take(struct access_log *log, size_t room)
{
	struct access_note *note = log->free_notes;

	if (room <= NOTE_ROOM && note) {
		log->free_notes = note->next;
		log->free_count--;
	} else {
		room = room <= NOTE_ROOM ? NOTE_ROOM : room;
		note = malloc(sizeof(*note) + room);
		if (!note)
			return NULL;
		note->room = (uint32_t)room;
	}
	room = note->room;
	memset(note, 0, sizeof(*note));
	note->room = (uint32_t)room;
	return note;
}

static void note_give(struct access_log *log, struct access_note *note)
{
	if (note->room != NOTE_ROOM || log->free_count >= NOTE_FREE_MAX) {
		free(note);
		return;
	}
	note->next = log->free_notes;
	log->free_notes = note;
	log->free_count++;
}

/* As much of TEXT as may be and has room; a NULL stays one. */
static struct http_text note_copy(struct access_note *note, struct http_text text, size_t most)
{
	struct http_text copy = { NULL, text.len };

	if (!text.data)
		return copy;
	if (copy.len > most)
		copy.len = most;
	if (copy.len > note->room - note->used)
		copy.len = note->room - note->used;
	copy.data = note->data + note->used;
	memcpy(note->data + note->used, text.data, copy.len);
	note->used += (uint32_t)copy.len;
	return copy;
}

struct wanted_fields {
	struct http_text referer, user_agent, request_id;
};

static void fields_find(const struct http_head *head, struct wanted_fields *found)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		struct http_text value = { field->value, field->value_len };

		if (field->id == HTTP_FIELD_X_REQUEST_ID)
			found->request_id = value;
		else if (http_text_is(field->name, field->name_len, "referer"))
			found->referer = value;
		else if (http_text_is(field->name, field->name_len, "user-agent"))
			found->user_agent = value;
	}
}

static size_t at_most(size_t len, size_t most)
{
	return len < most ? len : most;
}

/* Whether the target has an access log, and what it is called. One that is asked for is not known
 * yet: whether it has one is found out at the end. */
static bool is_wanted(struct exchange *exchange, struct route_instance *instance)
{
	const struct worker *worker = exchange->worker;

	if (exchange->ask)
		return true;
	return route_table_access_log(worker->table, exchange->target) != ACCESS_OFF &&
	       route_table_instance(worker->table, exchange->target, instance);
}

void access_log_begin(struct exchange *exchange, const struct http_head *head, uint32_t head_bytes)
{
	struct access_log *log = &exchange->worker->access;
	struct route_instance instance = { 0 };
	struct wanted_fields fields = { 0 };
	struct http_text client, tenant;
	struct access_note *note;

	if (log->fd < 0 || !is_wanted(exchange, &instance))
		return;
	fields_find(head, &fields);
	client = rewrite_real_address(exchange->client, head);
	tenant = (struct http_text){ instance.name, instance.name ? strlen(instance.name) : 0 };
	note = note_take(log, tenant.len + at_most(client.len, WORD_MAX) +
				      at_most(head->method_text.len, WORD_MAX) +
				      at_most(head->target.len, TARGET_MAX) +
				      at_most(head->authority.len, WORD_MAX) +
				      at_most(fields.referer.len, FIELD_MAX) +
				      at_most(fields.user_agent.len, FIELD_MAX) + WORD_MAX);
	if (!note)
		return;
	note->time_ms = (int64_t)clock_ms(CLOCK_REALTIME);
	note->began_us = clock_us(CLOCK_MONOTONIC);
	note->format = (enum access_format)instance.access_log;
	note->received = head_bytes;
	note->tenant = note_copy(note, tenant, ACCESS_TENANT_MAX);
	note->client = note_copy(note, client, WORD_MAX);
	note->method = note_copy(note, head->method_text, WORD_MAX);
	note->target = note_copy(note, head->target, TARGET_MAX);
	note->host = note_copy(note, head->authority, WORD_MAX);
	note->referer = note_copy(note, fields.referer, FIELD_MAX);
	note->user_agent = note_copy(note, fields.user_agent, FIELD_MAX);
	note->request_id = note_copy(note, fields.request_id, WORD_MAX);
	exchange->note = note;
}

void access_note_request_id(struct access_note *note, const char *id, size_t len)
{
	if (!note->request_id.data)
		note->request_id = note_copy(note, (struct http_text){ id, len }, WORD_MAX);
}

void access_note_answer(struct access_note *note, uint16_t status, uint64_t head_bytes)
{
	note->status = status;
	note->head_sent = head_bytes;
	note->answer_us = clock_us(CLOCK_MONOTONIC);
}

void access_note_refusal(struct access_note *note, uint16_t status, enum board_refusal why)
{
	note->status = status;
	note->answered_ourselves = true;
	note->refusal = why;
}

/* ---- the batch ---- */

static struct access_loser *loser_of(struct access_log *log, struct route_target target)
{
	struct access_loser *unused = NULL;

	for (uint32_t i = 0; i < ACCESS_LOSERS_MAX; i++) {
		struct access_loser *loser = &log->losers[i];
		if (!loser->lost)
			unused = unused ? unused : loser;
		else if (loser->target.slot == target.slot &&
			 loser->target.incarnation == target.incarnation)
			return loser;
	}
	return unused;
}

static void lose(struct worker *worker, const struct access_entry *entry, enum access_format format)
{
	struct access_log *log = &worker->access;
	struct access_loser *loser = loser_of(log, entry->target);

	if (loser && !loser->lost) {
		loser->target = entry->target;
		loser->format = format;
		memcpy(loser->tenant, entry->tenant, entry->tenant_len);
		loser->tenant[entry->tenant_len] = '\0';
	}
	if (loser)
		loser->lost++;
	atomic_fetch_add_explicit(&worker->board->logs.access_lost, 1, memory_order_relaxed);
	if (worker_log_is_due(worker, &log->logged_ms))
		log_warn("the log writer is behind: lines of access logs are lost");
}

/* Say what is lost, now that there is room again. */
static void say_lost(struct access_log *log)
{
	char line[ACCESS_LINE_MAX];

	for (uint32_t i = 0; i < ACCESS_LOSERS_MAX; i++) {
		struct access_loser *loser = &log->losers[i];
		struct access_entry entry = { .target = loser->target,
			.tenant = loser->tenant,
			.tenant_len = strlen(loser->tenant),
			.line = line };

		if (!loser->lost)
			continue;
		entry.line_len =
			access_line_lost(line, loser->format, (int64_t)clock_ms(CLOCK_REALTIME),
				loser->lost, "the log writer was behind");
		if (!access_batch_add(log->batch, ACCESS_BATCH_MAX, &log->len, &entry))
			return;
		loser->lost = 0;
	}
}

/* Hand over what there is. False: it stays. */
static bool flush(struct worker *worker)
{
	struct access_log *log = &worker->access;

	if (!log->len)
		return true;
	if (worker->now_ms < log->blocked_until_ms)
		return false;
	if (send(log->fd, log->batch, log->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		log->blocked_until_ms = worker->now_ms + BLOCKED_MS;
		deadline_set(&worker->wheel, &log->due, log->blocked_until_ms);
		return false;
	}
	log->len = 0;
	deadline_stop(&log->due);
	say_lost(log);
	if (log->len)
		deadline_set(&worker->wheel, &log->due, worker->now_ms + FLUSH_MS);
	return true;
}

static void due(struct deadline *deadline)
{
	struct access_log *log =
		(struct access_log *)((char *)deadline - offsetof(struct access_log, due));

	flush((struct worker *)((char *)log - offsetof(struct worker, access)));
}

static void add(struct worker *worker, const struct access_entry *entry, enum access_format format)
{
	struct access_log *log = &worker->access;

	if (!log->batch)
		log->batch = malloc(ACCESS_BATCH_MAX);
	if (!log->batch) {
		lose(worker, entry, format);
		return;
	}
	if (!access_batch_add(log->batch, ACCESS_BATCH_MAX, &log->len, entry) &&
		!(flush(worker) &&
			access_batch_add(log->batch, ACCESS_BATCH_MAX, &log->len, entry)))
		lose(worker, entry, format);
	else if (!deadline_is_set(&log->due))
		deadline_set(&worker->wheel, &log->due, worker->now_ms + FLUSH_MS);
}

/* ---- a line ---- */

static uint64_t since(uint64_t then_us, uint64_t now_us)
{
	return now_us > then_us ? now_us - then_us : 0;
}

static void line_make(const struct exchange *exchange, bool complete, struct access_line *line)
{
	const struct access_note *note = exchange->note;

	*line = (struct access_line){
		.time_ms = note->time_ms,
		.client = note->client,
		.method = note->method,
		.target = note->target,
		.minor = exchange->minor,
		.status = note->status ? note->status : CLIENT_GONE,
		.bytes_sent = note->sent,
		.body_bytes_sent = since(note->head_sent, note->sent),
		.bytes_received = note->received + exchange->request_body.bytes,
		.duration_us = since(note->began_us, clock_us(CLOCK_MONOTONIC)),
		.upstream_us = note->answer_us ? since(note->began_us, note->answer_us) + 1 : 0,
		.host = note->host,
		.route = { exchange->host, strlen(exchange->host) },
		.referer = note->referer,
		.user_agent = note->user_agent,
		.request_id = note->request_id,
		.refused = note->answered_ourselves ? board_refusal_names[note->refusal] : NULL,
		.upgraded = exchange->state == EXCHANGE_TUNNEL,
		.complete = complete,
	};
}

void access_note_write(struct exchange *exchange, bool complete)
{
	struct worker *worker = exchange->worker;
	struct access_note *note = exchange->note;
	char text[ACCESS_LINE_MAX], tenant[ACCESS_TENANT_MAX + 1];
	struct access_entry entry = { exchange->target, tenant, 0, text, 0 };
	enum access_format format = note->format;
	struct route_instance instance;
	struct access_line line;

	/* Another may have been picked since. */
	if (route_table_instance(worker->table, exchange->target, &instance) &&
		!http_text_is(note->tenant.data, note->tenant.len, instance.name)) {
		note->tenant = (struct http_text){ instance.name, strlen(instance.name) };
		format = (enum access_format)instance.access_log;
	}
	if (format != ACCESS_OFF && note->tenant.len && note->tenant.len <= ACCESS_TENANT_MAX) {
		memcpy(tenant, note->tenant.data, note->tenant.len);
		tenant[note->tenant.len] = '\0';
		entry.tenant_len = note->tenant.len;
		line_make(exchange, complete, &line);
		line.tenant = tenant;
		entry.line_len = access_line_format(text, format, &line);
		add(worker, &entry, format);
	}
	exchange->note = NULL;
	note_give(&worker->access, note);
}

/* ---- the worker ---- */

void access_log_init(struct worker *worker, int fd)
{
	worker->access.fd = fd;
	worker->access.due.expired = due;
}

void access_log_turn(struct worker *worker)
{
	if (worker->access.len >= FLUSH_BYTES)
		flush(worker);
}

void access_log_end(struct worker *worker)
{
	worker->access.blocked_until_ms = 0;
	flush(worker);
}
