#include "request.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "proxy/client.h"
#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/relay.h"
#include "proxy/rewrite.h"
#include "proxy/route.h"
#include "proxy/worker.h"

static bool accepts_html(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		struct http_text item;
		size_t at = 0;

		if (field->id != HTTP_FIELD_ACCEPT)
			continue;
		while (http_list_next(field->value, field->value_len, &at, &item))
			if (item.len >= 9 && http_text_is(item.data, 9, "text/html") &&
				(item.len == 9 || item.data[9] == ';' || item.data[9] == ' '))
				return true;
	}
	return false;
}

/* Passing h2c on would let a client speak past us to the tenant. */
static bool wants_upgrade(const struct http_head *head)
{
	if (!head->has_upgrade || !head->connection_upgrade || head->minor == 0 ||
		head->body == HTTP_BODY_CHUNKED || head->content_length)
		return false;
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		struct http_text item;
		size_t at = 0;

		if (field->id != HTTP_FIELD_UPGRADE)
			continue;
		while (http_list_next(field->value, field->value_len, &at, &item))
			if (item.len >= 3 && http_text_is(item.data, 3, "h2c"))
				return false;
	}
	return true;
}

static bool is_websocket(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (field->id == HTTP_FIELD_UPGRADE)
			return http_text_is(field->value, field->value_len, "websocket");
	}
	return false;
}

/* What is to be told of it when it is over, its head being gone by then. */
static void request_note(
	struct exchange *exchange, const struct http_head *head, uint32_t head_bytes)
{
	if (exchange->worker->settings.traces)
		trace_begin(exchange, head);
	access_log_begin(exchange, head, head_bytes);
}

static void request_begin(struct exchange *exchange, uint32_t head_bytes)
{
	const struct http_head *head = exchange->head;
	struct worker *worker = exchange->worker;
	struct http_window *up = &exchange->up;
	enum route_result result;

	deadline_stop(&exchange->deadline);
	atomic_fetch_add_explicit(&worker->page->requests, 1, memory_order_relaxed);
	exchange->head_us = clock_us(CLOCK_MONOTONIC);
	client_trust(exchange->client);
	exchange->client->served = true;
	exchange->method = head->method;
	exchange->minor = head->minor;
	exchange->keep_alive = http_head_keeps_alive(head) && worker->settings.keepalive_timeout_ms;
	exchange->wants_html = accepts_html(head);
	exchange->upgrading = wants_upgrade(head);
	exchange->websocket = exchange->upgrading && is_websocket(head);
	exchange->has_body = head->body == HTTP_BODY_CHUNKED || head->content_length > 0;
	result = route_request(exchange, head);
	if (result == ROUTE_FOUND || result == ROUTE_ASKS)
		request_note(exchange, head, head_bytes);
	if ((result == ROUTE_FOUND || result == ROUTE_ASKS) && !rewrite_request(exchange, head)) {
		exchange_refuse_for_memory(exchange);
		return;
	}
	/* The views into the head end here: framing may be written over its last bytes. */
	up->at = up->ready = up->ready + head_bytes;
	http_transfer_init(&exchange->request_body, head->body, head->content_length,
		head->chunked ? HTTP_CODING_CHUNKED : HTTP_CODING_PLAIN);
	exchange_head_end(exchange);
	if (http_transfer_take(&exchange->request_body, up) < 0) {
		exchange->keep_alive = false;
		exchange_refuse(exchange, 400, BOARD_REFUSED_BAD_REQUEST, "malformed chunk");
		return;
	}
	dispatch(exchange, result);
}

static void head_refuse(struct exchange *exchange)
{
	const struct http_head *head = exchange->head;
	bool large = head->refused_status == 431 || head->refused_status == 414;

	exchange->keep_alive = false;
	exchange->minor = 1;
	exchange->method = head->method;
	exchange->up.at = exchange->up.ready = exchange->up.end;
	exchange_refuse(exchange, head->refused_status,
		large ? BOARD_REFUSED_TOO_LARGE : BOARD_REFUSED_BAD_REQUEST, head->refused_reason);
}

/* Most heads come whole: only the others need a deadline. */
static void head_await(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;

	deadline_set(&worker->wheel, &exchange->deadline,
		exchange->began_ms + worker->settings.client_header_timeout_ms);
	relay_watch(exchange);
}

void request_parse(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;
	int bytes;

	/* The buffer may be of a time when less was allowed. Only a head that has just begun finds
	 * it too small, so there are no views into it yet. */
	if (!exchange_head_begin(exchange, HTTP_REQUEST) ||
		!buffer_grow(&exchange->worker->buffers, up, exchange_head_room(exchange))) {
		exchange_refuse_for_memory(exchange);
		return;
	}
	bytes = http_head_parse(exchange->head, up->data + up->ready, up->end - up->ready);
	if (bytes > 0)
		request_begin(exchange, (uint32_t)bytes);
	else if (bytes < 0)
		head_refuse(exchange);
	else
		head_await(exchange);
}

void request_read(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;
	struct client *client = exchange->client;
	ssize_t got = recv(client->io.fd, up->data + up->end, http_window_space(up), 0);

	if (got > 0) {
		up->end += (uint32_t)got;
		request_parse(exchange);
		return;
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		client_close(client);
	else if (up->end == up->ready)
		client_next(client); /* a false alarm: back to being idle */
}
