#include "preface.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "proxy_protocol.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/request.h"
#include "proxy/worker.h"

static void refuse(struct exchange *exchange, const char *why)
{
	struct worker *worker = exchange->worker;

	worker_refusal(worker, BOARD_REFUSED_BAD_REQUEST);
	if (worker_log_is_due(worker, &worker->preface_logged_ms))
		log_warn("closed a connection from %s, which has to begin with a PROXY header: %s",
			exchange->client->peer, why);
	client_close(exchange->client);
}

static void preface_await(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;

	deadline_set(&worker->wheel, &exchange->deadline,
		exchange->began_ms + worker->settings.client_header_timeout_ms);
	client_watch(exchange->client, EV_READ);
}

/* The header is through. What was read behind it is moved to where a head begins, so that the
 * largest one still has room. */
static void preface_end(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;
	uint32_t left = up->end - up->ready;

	if (!left) {
		client_next(exchange->client);
		return;
	}
	memmove(up->data + HTTP_WINDOW_BEFORE, up->data + up->ready, left);
	http_window_reset(up);
	up->end += left;
	exchange->state = EXCHANGE_HEAD;
	exchange->began_ms = exchange->worker->now_ms;
	request_parse(exchange);
}

/* Extensions are passed over as they come; they may be more than the window holds. */
static void preface_skip(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;
	uint32_t have = up->end - up->ready;
	uint32_t skipped = have < exchange->preface_left ? have : exchange->preface_left;

	exchange->preface_left -= skipped;
	up->at = up->ready = up->ready + skipped;
	if (!exchange->preface_left) {
		preface_end(exchange);
		return;
	}
	http_window_reset(up);
	preface_await(exchange);
}

static void preface_parse(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;
	struct proxy_protocol header;
	int bytes = proxy_protocol_parse(&header, up->data + up->ready, up->end - up->ready);

	if (bytes < 0) {
		refuse(exchange, header.refused);
	} else if (!bytes) {
		preface_await(exchange);
	} else if (client_introduce(exchange->client, &header)) {
		exchange->preface_left = (uint32_t)bytes;
		preface_skip(exchange);
	}
}

void preface_read(struct exchange *exchange)
{
	struct http_window *up = &exchange->up;
	struct client *client = exchange->client;
	ssize_t got = recv(client->io.fd, up->data + up->end, http_window_space(up), 0);

	if (got > 0) {
		up->end += (uint32_t)got;
		if (exchange->preface_left)
			preface_skip(exchange);
		else
			preface_parse(exchange);
		return;
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		client_close(client);
	else if (up->end == up->ready && !exchange->preface_left)
		client_next(client); /* a false alarm: back to being idle */
}
