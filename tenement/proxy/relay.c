#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/client.h"
#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/pipe.h"
#include "proxy/rewrite.h"
#include "proxy/transport.h"
#include "proxy/tunnel.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"

#define PIPE_LEAST (128 * 1024) /* a shorter rest of a body is copied */

_Static_assert(RESPONSE_HEAD_MAX <= BUFFER_BYTES - BUFFER_FRAMING, "a window holds a whole head");

/* ---- the request ---- */

static void request_end(struct exchange *exchange)
{
	exchange->request_ended = true;
	exchange->upstream_blocked = false;
	/* The answer may take long, and there are few pipes. */
	if (exchange->pipe && !exchange->pipe->bytes) {
		pipe_give(exchange->worker, exchange->pipe);
		exchange->pipe = NULL;
	}
	if (exchange->request_timeout_ms)
		exchange->answer_by_ms = exchange->worker->now_ms + exchange->request_timeout_ms;
	/* Bytes of the body that were noise while it waited are none any more. What lies behind the
	 * request stays, and what could not be sent may be for another connection; otherwise
	 * relay_watch() gives the buffer back. */
	exchange->client_noise = exchange->up.end > exchange->up.ready;
}

static enum moved request_push(struct exchange *exchange)
{
	bool has_head =
		exchange->state == EXCHANGE_SEND && !exchange->interim && !exchange->answer_seen;
	uint32_t body = transport_pending(&exchange->up);
	size_t bytes;
	enum moved moved = transport_write(
		exchange->upstream->io.fd, has_head ? &exchange->top : NULL, &exchange->up, &bytes);

	if (bytes)
		exchange->sent_any = true;
	if (transport_pending(&exchange->up) < body)
		exchange->body_sent = true;
	transport_count_in(exchange, bytes);
	if (moved != MOVED_ALL || !exchange->pipe)
		return moved;
	moved = pipe_drain(exchange->pipe, exchange->upstream->io.fd, &bytes);
	if (bytes)
		exchange->body_sent = exchange->sent_any = true;
	transport_count_in(exchange, bytes);
	return moved;
}

/* A long body of known length needs to pass through no window. */
static bool takes_pipe(struct exchange *exchange)
{
	const struct http_transfer *body = &exchange->request_body;

	if (body->from != HTTP_BODY_LENGTH || body->to != HTTP_CODING_PLAIN)
		return false;
	if (!exchange->pipe && body->left >= PIPE_LEAST)
		exchange->pipe = pipe_take(exchange->worker);
	return exchange->pipe != NULL;
}

static enum moved request_read_on(struct exchange *exchange)
{
	struct http_transfer *body = &exchange->request_body;
	int client = exchange->client->io.fd;
	enum moved moved;

	if (!takes_pipe(exchange))
		return transport_read(exchange, client, &exchange->up);
	moved = pipe_fill(exchange->pipe, client, body->left);
	if (moved == MOVED_ALL)
		http_transfer_pass(body, exchange->pipe->bytes);
	return moved;
}

/* More of the body from the client. False: there is none now, or the exchange is over. */
static bool request_pull(struct exchange *exchange)
{
	const struct http_transfer *body = &exchange->request_body;

	switch (request_read_on(exchange)) {
	case MOVED_ALL:
		break;
	case MOVED_BLOCKED:
		return false;
	case MOVED_NO_MEMORY:
		exchange_refuse_for_memory(exchange);
		return false;
	default:
		client_close(exchange->client); /* it went away in the middle of its request */
		return false;
	}
	if (!exchange->pipe && http_transfer_take(&exchange->request_body, &exchange->up) < 0) {
		exchange->keep_alive = false;
		exchange_refuse(exchange, 400, BOARD_REFUSED_BAD_REQUEST, "malformed chunk");
		return false;
	}
	if (exchange->max_body_bytes && body->bytes > exchange->max_body_bytes) {
		exchange_refuse(exchange, 413, BOARD_REFUSED_TOO_LARGE, "body too large");
		return false;
	}
	return true;
}

static bool is_relaying(const struct exchange *exchange)
{
	return exchange->state == EXCHANGE_SEND || exchange->state == EXCHANGE_RESPOND;
}

/* It takes no more. It may have answered before it closed: that is for relay_down() to find out. */
static void request_cut(struct exchange *exchange)
{
	/* Whatever such a connection has to say, it is not about a request of which it has nothing.
	 */
	if (!exchange->sent_any) {
		dispatch_upstream_failed(exchange);
		return;
	}
	exchange->request_cut = true;
	exchange->upstream_reusable = false;
	request_end(exchange);
	if (exchange->state == EXCHANGE_SEND)
		relay_down(exchange);
	else
		relay_watch(exchange);
}

void relay_up(struct exchange *exchange)
{
	for (int turn = 0; !exchange->request_ended; turn++) {
		enum moved moved = request_push(exchange);

		if (moved == MOVED_ERROR) {
			request_cut(exchange);
			return;
		}
		exchange->upstream_blocked = moved == MOVED_BLOCKED;
		if (moved == MOVED_BLOCKED)
			break;
		if (exchange->request_body.done) {
			request_end(exchange);
			break;
		}
		if (turn || !request_pull(exchange))
			break;
	}
	if (is_relaying(exchange))
		relay_watch(exchange);
}

void relay_begin(struct exchange *exchange)
{
	exchange->state = EXCHANGE_SEND;
	exchange->sent_any = exchange->request_cut = false;
	exchange_head_end(exchange);
	if (exchange->upstream->state == UPSTREAM_CONNECTING)
		relay_watch(exchange);
	else
		relay_up(exchange);
}

/* ---- the answer's head ---- */

static void answer_broken(struct exchange *exchange)
{
	struct board_cell *cell = &exchange->worker->cells[exchange->target.slot];

	atomic_fetch_add_explicit(&cell->failures, 1, memory_order_relaxed);
	exchange_refuse(
		exchange, 502, BOARD_REFUSED_UPSTREAM, "the application's answer is malformed");
}

/* A body where none is expected, of a GET say, is what many an app leaves unread, and takes for the
 * next request: its answer would go to another client. */
static bool body_is_unusual(const struct exchange *exchange)
{
	return exchange->has_body && http_method_is_idempotent(exchange->method) &&
	       exchange->method != HTTP_METHOD_PUT;
}

static void final_begin(struct exchange *exchange)
{
	const struct http_head *head = exchange->head;
	struct worker *worker = exchange->worker;
	enum http_body body = http_response_body(head, exchange->method);
	bool framed = body == HTTP_BODY_NONE || body == HTTP_BODY_LENGTH;
	enum http_coding to =
		framed || exchange->minor == 0 ? HTTP_CODING_PLAIN : HTTP_CODING_CHUNKED;
	bool was_taken =
		exchange->request_ended && !exchange->request_cut && !body_is_unusual(exchange);

	if ((!framed && exchange->minor == 0) || !exchange->request_ended ||
		exchange->request_cut || worker->draining)
		exchange->keep_alive = false;
	exchange->upstream_reusable =
		http_head_keeps_alive(head) && was_taken && body != HTTP_BODY_UNTIL_CLOSE;
	http_transfer_init(&exchange->response_body, body, head->content_length, to);
	atomic_fetch_add_explicit(
		&worker->cells[exchange->target.slot].requests, 1, memory_order_relaxed);
}

/* A whole head of HEAD_BYTES lies in .down. */
static void head_take(struct exchange *exchange, uint32_t head_bytes)
{
	const struct http_head *head = exchange->head;
	enum rewrite_connection connection;
	bool upgrade = head->status == 101;
	bool interim = head->status < 200 && !upgrade;

	bool head_is_out = exchange->answer_seen || !transport_pending(&exchange->top);

	if (!head_is_out && !exchange->sent_any) {
		dispatch_upstream_failed(exchange); /* it speaks without having been asked */
		return;
	}
	/* Only a refusal can come before the whole head; nor does anybody upgrade unasked. */
	if ((!head_is_out && (interim || upgrade)) || (upgrade && !exchange->upgrading) ||
		(upgrade && !exchange->request_ended)) {
		answer_broken(exchange);
		return;
	}
	if (!head_is_out) {
		exchange->request_cut = true;
		request_end(exchange);
	}
	if (interim && exchange->minor == 0) {
		exchange->answer_seen = true;
		exchange->down.at = exchange->down.ready = exchange->down.at + head_bytes;
		exchange_head_end(exchange);
		return;
	}
	if (interim)
		connection = REWRITE_INTERIM;
	else if (upgrade)
		connection = REWRITE_UPGRADE;
	else {
		final_begin(exchange);
		connection = exchange->keep_alive ? REWRITE_KEEP : REWRITE_CLOSE;
	}
	if (!rewrite_response(exchange, head, connection)) {
		exchange_refuse_for_memory(exchange);
		return;
	}
	exchange->answer_seen = true;
	exchange->down.at = exchange->down.ready = exchange->down.at + head_bytes;
	if (!interim)
		exchange->status = head->status;
	if (!interim && exchange->trace.note)
		exchange->trace.note->answer_us = clock_us(CLOCK_MONOTONIC);
	if (exchange->note && !interim)
		access_note_answer(exchange->note, head->status, transport_pending(&exchange->top));
	if (interim) {
		exchange->interim = true;
	} else if (upgrade) {
		tunnel_begin(exchange);
	} else {
		/* As long as nothing of it has gone out it can be taken for broken. */
		if (http_transfer_take(&exchange->response_body, &exchange->down) < 0)
			answer_broken(exchange);
		else
			exchange->state = EXCHANGE_RESPOND;
	}
	exchange_head_end(exchange);
}

/* Move what has not been passed on to the front. */
static void window_rewind(struct http_window *window)
{
	uint32_t left = window->end - window->at;
	char *from = window->data + window->at;

	http_window_reset(window);
	memmove(window->data + window->end, from, left);
	window->end += left;
}

/* Parse what .down holds. False: more must be read first, or the exchange is over. */
static bool head_parse(struct exchange *exchange)
{
	struct http_window *down = &exchange->down;
	int bytes;

	if (!exchange_head_begin(exchange, HTTP_RESPONSE)) {
		exchange_refuse_for_memory(exchange);
		return false;
	}
	bytes = http_head_parse(exchange->head, down->data + down->at, down->end - down->at);
	if (bytes < 0) {
		answer_broken(exchange);
		return false;
	}
	if (bytes > 0) {
		head_take(exchange, (uint32_t)bytes);
		return is_relaying(exchange);
	}
	if (http_window_space(down))
		return false;
	/* The largest head has room, but 1xx came before it: what they took is used again. The
	 * views of the part that was parsed are into the old place, so it begins anew. */
	window_rewind(down);
	exchange_head_end(exchange);
	return false;
}

/* Read more of the head. False: there is none now, or the exchange is over. */
static bool head_pull(struct exchange *exchange)
{
	struct http_window *down = &exchange->down;
	int fd = exchange->upstream->io.fd;
	enum moved moved = MOVED_ALL;

	if (!down->data || down->end == down->at) {
		moved = transport_read(exchange, fd, down);
	} else {
		ssize_t got = recv(fd, down->data + down->end, http_window_space(down), 0);
		if (got > 0)
			down->end += (uint32_t)got;
		else if (got < 0 && (errno == EAGAIN || errno == EINTR))
			moved = MOVED_BLOCKED;
		else
			moved = MOVED_EOF;
	}
	if (moved == MOVED_ALL)
		return true;
	if (moved == MOVED_BLOCKED)
		return false;
	if (moved == MOVED_NO_MEMORY)
		exchange_refuse_for_memory(exchange);
	else if (exchange->answer_seen || (down->data && down->end > down->at))
		answer_broken(exchange);
	else
		dispatch_upstream_failed(exchange);
	return false;
}

/* The 1xx in .top goes out; then the next head is awaited. False: not yet. */
static bool interim_push(struct exchange *exchange)
{
	size_t bytes;
	enum moved moved = transport_write(exchange->client->io.fd, NULL, &exchange->top, &bytes);

	if (moved == MOVED_ERROR) {
		client_close(exchange->client);
		return false;
	}
	exchange->client_blocked = moved == MOVED_BLOCKED;
	if (exchange->client_blocked)
		return false;
	exchange->interim = false;
	exchange_head_end(exchange);
	return true;
}

/* ---- the answer ---- */

static enum moved answer_push(struct exchange *exchange)
{
	size_t bytes;
	enum moved moved;

	transport_join(&exchange->top, &exchange->down);
	moved = transport_write(exchange->client->io.fd, &exchange->top, &exchange->down, &bytes);
	transport_count_out(exchange, bytes);
	exchange->client_blocked = moved == MOVED_BLOCKED;
	return moved;
}

/* More of the body from the tenant. False: none now, or the exchange is over. */
static bool answer_pull(struct exchange *exchange)
{
	struct http_transfer *body = &exchange->response_body;
	int result = -1;

	switch (transport_read(exchange, exchange->upstream->io.fd, &exchange->down)) {
	case MOVED_ALL:
		result = http_transfer_take(body, &exchange->down);
		break;
	case MOVED_BLOCKED:
		return false;
	case MOVED_EOF:
		exchange->upstream_eof = true;
		result = http_transfer_eof(body, &exchange->down);
		break;
	case MOVED_ERROR:
	case MOVED_NO_MEMORY:
		break;
	}
	if (result < 0) {
		/* Half an answer is out: all that can be told is that it is not whole. */
		exchange_abort(exchange);
		return false;
	}
	return true;
}

static void respond(struct exchange *exchange)
{
	for (int turn = 0;; turn++) {
		enum moved moved = answer_push(exchange);

		if (moved == MOVED_ERROR) {
			client_close(exchange->client);
			return;
		}
		if (moved == MOVED_BLOCKED)
			break;
		if (exchange->response_body.done) {
			exchange_finish(exchange);
			return;
		}
		if (turn || !answer_pull(exchange))
			break;
	}
	if (is_relaying(exchange))
		relay_watch(exchange);
}

void relay_down(struct exchange *exchange)
{
	bool more = exchange->state == EXCHANGE_SEND;
	bool was_read = false;

	while (more && exchange->state == EXCHANGE_SEND) {
		if (exchange->interim)
			more = interim_push(exchange);
		else if (exchange->down.data && exchange->down.end > exchange->down.at &&
			 (!exchange->head ||
				 exchange->head->scanned < exchange->down.end - exchange->down.at))
			more = head_parse(exchange);
		else if (was_read)
			break; /* others have their turn: 1xx may never end */
		else
			more = was_read = head_pull(exchange);
	}
	if (exchange->state == EXCHANGE_RESPOND)
		respond(exchange);
	else if (exchange->state == EXCHANGE_SEND && exchange->upstream)
		relay_watch(exchange);
}

void relay_answer(struct exchange *exchange)
{
	size_t bytes;
	enum moved moved = transport_write(exchange->client->io.fd, NULL, &exchange->top, &bytes);

	if (exchange->note)
		exchange->note->sent += bytes;
	if (moved == MOVED_ERROR) {
		client_close(exchange->client);
		return;
	}
	exchange->client_blocked = moved == MOVED_BLOCKED;
	if (exchange->client_blocked)
		relay_watch(exchange);
	else
		exchange_finish(exchange);
}
