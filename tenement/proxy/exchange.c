#include "exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/clock.h"
#include "proxy/admit.h"
#include "proxy/answer.h"
#include "proxy/ask.h"
#include "proxy/client.h"
#include "proxy/dispatch.h"
#include "proxy/pipe.h"
#include "proxy/preface.h"
#include "proxy/queue.h"
#include "proxy/relay.h"
#include "proxy/request.h"
#include "proxy/tunnel.h"
#include "proxy/upstream.h"
#include "proxy/wait.h"
#include "proxy/worker.h"

#define FREE_MAX 1024

/* ---- coming and going ---- */

static void expired(struct deadline *deadline);

static void begin(struct exchange *exchange, struct client *client)
{
	memset(exchange, 0, sizeof(*exchange));
	exchange->worker = client->worker;
	exchange->client = client;
	exchange->deadline.expired = expired;
	exchange->began_ms = client->worker->now_ms;
}

bool exchange_head_begin(struct exchange *exchange, enum http_kind kind)
{
	struct worker *worker = exchange->worker;
	const struct settings *settings = &worker->settings;

	if (exchange->head)
		return true;
	if (worker->free_head_count)
		exchange->head = worker->free_heads[--worker->free_head_count];
	else
		exchange->head = malloc(sizeof(*exchange->head));
	if (!exchange->head)
		return false;
	if (kind == HTTP_REQUEST)
		http_head_init(
			exchange->head, kind, settings->max_header_bytes, settings->max_headers);
	else
		http_head_init(exchange->head, kind, RESPONSE_HEAD_MAX, HTTP_FIELDS_MAX);
	return true;
}

void exchange_head_end(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;

	if (exchange->head && worker->free_head_count < WORKER_FREE_HEADS)
		worker->free_heads[worker->free_head_count++] = exchange->head;
	else
		free(exchange->head);
	exchange->head = NULL;
}

uint32_t exchange_head_room(const struct exchange *exchange)
{
	uint32_t bytes = exchange->head ? exchange->head->max_bytes
					: exchange->worker->settings.max_header_bytes;

	return bytes + BUFFER_FRAMING;
}

/* Silence before its first byte has been part of its time. */
static void begin_preface(struct exchange *exchange)
{
	exchange->state = EXCHANGE_PREFACE;
	if (exchange->client->idle_since_ms)
		exchange->began_ms = exchange->client->idle_since_ms;
}

struct exchange *exchange_open(struct client *client)
{
	struct worker *worker = client->worker;
	struct exchange *exchange = worker->free_exchanges;

	if (exchange) {
		LL_DELETE(worker->free_exchanges, exchange);
		worker->free_exchange_count--;
	} else {
		exchange = malloc(sizeof(*exchange));
		if (!exchange)
			return NULL;
	}
	begin(exchange, client);
	if (client->introduction == CLIENT_TO_BE_INTRODUCED)
		begin_preface(exchange);
	if (!buffer_take(&worker->buffers, &exchange->up, exchange_head_room(exchange))) {
		exchange_release(exchange);
		return NULL;
	}
	return exchange;
}

void exchange_leave_board(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct board_cell *cell = &worker->cells[exchange->target.slot];

	if (exchange->upgraded) {
		exchange_touch(exchange);
		atomic_fetch_sub_explicit(&cell->upgraded, 1, memory_order_seq_cst);
	}
	if (exchange->in_flight)
		board_leave(cell, worker->now_ms);
	exchange->upgraded = exchange->in_flight = false;
	admit_leave_place(exchange);
}

void exchange_drop_upstream(struct exchange *exchange)
{
	if (exchange->upstream)
		upstream_close(exchange->upstream);
	exchange->upstream = NULL;
}

/* Undo all but the client's side. */
static void let_go(struct exchange *exchange)
{
	deadline_stop(&exchange->deadline);
	exchange_head_end(exchange);
	pipe_give(exchange->worker, exchange->pipe);
	exchange->pipe = NULL;
	wait_leave(exchange);
	queue_leave(exchange);
	ask_leave(exchange);
	exchange_drop_upstream(exchange);
	exchange_leave_board(exchange);
}

void exchange_count(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	uint64_t took_us = clock_us(CLOCK_MONOTONIC) - exchange->head_us;

	exchange->head_us = 0;
	if (exchange->resolved_generation)
		board_answers_count(
			&worker->answers[exchange->target.slot], exchange->status, took_us);
}

void exchange_release(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;

	if (exchange->state == EXCHANGE_DONE)
		return;
	exchange_log(exchange, exchange->client_eof && exchange->upstream_eof);
	let_go(exchange);
	buffer_give(&worker->buffers, &exchange->up);
	buffer_give(&worker->buffers, &exchange->top);
	buffer_give(&worker->buffers, &exchange->down);
	exchange->state = EXCHANGE_DONE;
	LL_PREPEND(worker->dead_exchanges, exchange);
}

void exchange_reap(struct worker *worker)
{
	while (worker->dead_exchanges) {
		struct exchange *exchange = worker->dead_exchanges;
		LL_DELETE(worker->dead_exchanges, exchange);
		if (worker->free_exchange_count >= FREE_MAX) {
			free(exchange);
			continue;
		}
		LL_PREPEND(worker->free_exchanges, exchange);
		worker->free_exchange_count++;
	}
}

void exchange_touch(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct board_cell *cell = &worker->cells[exchange->target.slot];

	if (atomic_load_explicit(&cell->last_used_ms, memory_order_relaxed) != worker->now_ms)
		atomic_store_explicit(&cell->last_used_ms, worker->now_ms, memory_order_relaxed);
}

/* A fresh start on the same connection, with the bytes that are there already. */
static void begin_next(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct client *client = exchange->client;
	struct http_window up = exchange->up;
	uint32_t left = up.end - up.ready;

	buffer_give(&worker->buffers, &exchange->top);
	buffer_give(&worker->buffers, &exchange->down);
	if (left)
		memmove(up.data + HTTP_WINDOW_BEFORE, up.data + up.ready, left);
	http_window_reset(&up);
	up.end += left;
	begin(exchange, client);
	exchange->up = up;
}

/* The body is through, or what there is of it came along with the head. */
static bool request_is_consumed(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;

	if (!exchange->request_body.done && up->at == up->ready && up->end > up->ready)
		if (http_transfer_take(&exchange->request_body, up) < 0)
			return false;
	up->at = up->ready;
	return exchange->request_body.done;
}

void exchange_finish(struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct upstream *upstream = exchange->upstream;
	bool answered_ourselves = exchange->state == EXCHANGE_ANSWER;
	bool consumed = exchange->request_ended || answered_ourselves;

	exchange_log(exchange, true);
	if (upstream && exchange->upstream_reusable && exchange->request_ended &&
		exchange->down.ready == exchange->down.end) {
		exchange->upstream = NULL;
		upstream_keep(upstream);
	}
	let_go(exchange);
	consumed = consumed && request_is_consumed(exchange);
	if (exchange->keep_alive && consumed && !exchange->worker->draining) {
		if (exchange->up.end > exchange->up.ready)
			begin_next(exchange);
		client_next(client);
	} else if (!consumed || exchange->keep_alive || exchange->client_noise ||
		   exchange->up.end > exchange->up.ready) {
		/* The client has, or may have, more on the way: a reset could overtake the answer.
		 */
		client_linger(client);
	} else {
		client_close(client);
	}
}

void exchange_abort(struct exchange *exchange)
{
	struct linger now = { .l_onoff = 1 };

	/* Where the answer's end is the connection's, only a reset tells that this is not it. */
	if (exchange->state == EXCHANGE_RESPOND &&
		exchange->response_body.to == HTTP_CODING_PLAIN &&
		exchange->response_body.from != HTTP_BODY_LENGTH)
		setsockopt(exchange->client->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(exchange->client);
}

/* ---- answers of our own ---- */

static void answer_begin(struct exchange *exchange, int made)
{
	if (made < 0) {
		exchange_abort(exchange);
		return;
	}
	exchange->state = EXCHANGE_ANSWER;
	relay_answer(exchange);
}

/* Whether the connection can go on must be known before the answer's head is written. */
static void answer_prepare(struct exchange *exchange)
{
	let_go(exchange);
	buffer_give(&exchange->worker->buffers, &exchange->down);
	if (exchange->worker->draining || exchange->body_sent || !request_is_consumed(exchange))
		exchange->keep_alive = false;
}

static void count_refusal(const struct exchange *exchange, enum board_refusal why)
{
	struct board *board = exchange->worker->board;
	uint32_t slot = exchange->target.slot;

	worker_refusal(exchange->worker, why);
	if (exchange->resolved_generation && slot < ROUTE_SLOTS_MAX &&
		why != BOARD_REFUSED_UNKNOWN_HOST)
		board_refuse(board, slot, why);
}

void exchange_refuse(
	struct exchange *exchange, uint16_t status, enum board_refusal why, const char *text)
{
	bool passes = why == BOARD_REFUSED_QUEUE_FULL || why == BOARD_REFUSED_OVERLOAD ||
		      why == BOARD_REFUSED_CONCURRENT || why == BOARD_REFUSED_CONNECTIONS;

	exchange_refuse_until(exchange, status, why, text, passes ? 1 : 0);
}

void exchange_refuse_until(struct exchange *exchange, uint16_t status, enum board_refusal why,
	const char *text, uint32_t retry_after_secs)
{
	char retry_after[12];

	count_refusal(exchange, why);
	snprintf(retry_after, sizeof(retry_after), "%" PRIu32, retry_after_secs);
	if (exchange->trace.note)
		exchange->trace.note->refused = board_refusal_names[why];
	if (exchange->note && exchange->state < EXCHANGE_RESPOND)
		access_note_refusal(exchange->note, status, why);
	if (exchange->state >= EXCHANGE_RESPOND || exchange->interim) {
		exchange_abort(exchange);
		return;
	}
	answer_prepare(exchange);
	answer_begin(exchange,
		answer_error(exchange, status, text, retry_after_secs ? retry_after : NULL));
}

void exchange_refuse_for_memory(struct exchange *exchange)
{
	worker_shed(exchange->worker);
	exchange->keep_alive = false;
	/* What it holds is what the answer can be written into. */
	buffer_give(&exchange->worker->buffers, &exchange->up);
	exchange_refuse(exchange, 503, BOARD_REFUSED_OVERLOAD, "overloaded");
}

void exchange_answer_suspended(struct exchange *exchange, const struct route_instance *instance)
{
	count_refusal(exchange, BOARD_REFUSED_DOWN);
	answer_prepare(exchange);
	if (exchange->note)
		access_note_refusal(exchange->note, instance->suspended_status == 402 ? 402 : 503,
			BOARD_REFUSED_DOWN);
	answer_begin(exchange, answer_suspended(exchange, instance));
}

void exchange_answer_health(struct exchange *exchange)
{
	answer_prepare(exchange);
	answer_begin(exchange, answer_health(exchange));
}

void exchange_answer_asleep(struct exchange *exchange)
{
	count_refusal(exchange, BOARD_ANSWERED_ASLEEP);
	answer_prepare(exchange);
	if (exchange->note)
		access_note_refusal(exchange->note, 200, BOARD_ANSWERED_ASLEEP);
	answer_begin(exchange, answer_asleep(exchange));
}

/* ---- events ---- */

static void expired(struct deadline *deadline)
{
	struct exchange *exchange =
		(struct exchange *)((char *)deadline - offsetof(struct exchange, deadline));
	struct http_window *up = &exchange->up;

	switch (exchange->state) {
	case EXCHANGE_HEAD:
		exchange->minor = 1;
		if (up->end > up->ready)
			exchange_refuse(
				exchange, 408, BOARD_REFUSED_BAD_REQUEST, "request timeout");
		else
			client_close(exchange->client);
		break;
	case EXCHANGE_WAIT:
		dispatch_wait_expired(exchange);
		break;
	case EXCHANGE_SEND:
		if (!exchange->request_ended && !exchange->upstream_blocked &&
			exchange->upstream->state != UPSTREAM_CONNECTING)
			exchange_refuse(
				exchange, 408, BOARD_REFUSED_BAD_REQUEST, "request timeout");
		else
			exchange_refuse(exchange, 504, BOARD_REFUSED_UPSTREAM_SLOW,
				"the application took too long");
		break;
	default:
		exchange_abort(exchange);
		break;
	}
}

/* The client has something to say that is not wanted now: the next request, or good-bye. */
static void client_peek(struct exchange *exchange)
{
	char byte;
	ssize_t got = recv(exchange->client->io.fd, &byte, 1, MSG_PEEK);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		client_close(exchange->client);
		return;
	}
	exchange->client_noise = true;
	relay_watch(exchange);
}

void exchange_client_event(struct exchange *exchange, int events)
{
	switch (exchange->state) {
	case EXCHANGE_HEAD:
		request_read(exchange);
		break;
	case EXCHANGE_PREFACE:
		preface_read(exchange);
		break;
	case EXCHANGE_WAIT:
		client_peek(exchange);
		break;
	case EXCHANGE_ANSWER:
		relay_answer(exchange);
		break;
	case EXCHANGE_SEND:
	case EXCHANGE_RESPOND:
		if (events & EV_WRITE)
			relay_down(exchange);
		if (!(events & EV_READ) ||
			(exchange->state != EXCHANGE_SEND && exchange->state != EXCHANGE_RESPOND))
			break;
		if (exchange->request_ended)
			client_peek(exchange);
		else
			relay_up(exchange);
		break;
	case EXCHANGE_TUNNEL:
		tunnel_event(exchange, events, 0);
		break;
	case EXCHANGE_DONE:
		break;
	}
}

void exchange_upstream_event(struct exchange *exchange, int events)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->state == EXCHANGE_TUNNEL) {
		tunnel_event(exchange, 0, events);
		return;
	}
	if (upstream->state == UPSTREAM_CONNECTING) {
		if (upstream_connect_result(upstream))
			dispatch_upstream_failed(exchange);
		else
			relay_up(exchange);
		return;
	}
	if (events & EV_READ)
		relay_down(exchange);
	if ((events & EV_WRITE) && exchange->upstream == upstream &&
		upstream->exchange == exchange &&
		(exchange->state == EXCHANGE_SEND || exchange->state == EXCHANGE_RESPOND))
		relay_up(exchange);
}
