/* What an exchange waits for, and until when. */
#include "relay.h"

#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/pipe.h"
#include "proxy/transport.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"

#define DEPARTURE_MS 16

static bool wants_more_request(const struct exchange *exchange)
{
	return !exchange->request_ended && exchange->upstream &&
	       exchange->upstream->state == UPSTREAM_BUSY && !transport_pending(&exchange->up) &&
	       !(exchange->pipe && exchange->pipe->bytes) && !exchange->request_body.done;
}

static int client_events(const struct exchange *exchange)
{
	int events = exchange->client_blocked ? EV_WRITE : 0;

	switch (exchange->state) {
	case EXCHANGE_HEAD:
		return EV_READ;
	case EXCHANGE_WAIT:
		return exchange->client_noise ? 0 : EV_READ;
	case EXCHANGE_SEND:
	case EXCHANGE_RESPOND:
		if (wants_more_request(exchange))
			return events | EV_READ;
		/* Otherwise listen for its going away, unless bytes lie before that. */
		if (exchange->request_ended && !exchange->client_noise)
			return events | EV_READ;
		return events;
	case EXCHANGE_TUNNEL:
		if (!exchange->client_eof && !transport_pending(&exchange->up))
			events |= EV_READ;
		return events;
	default:
		return events;
	}
}

static int upstream_events(const struct exchange *exchange)
{
	int events = exchange->upstream_blocked ? EV_WRITE : 0;

	if (exchange->upstream->state == UPSTREAM_CONNECTING)
		return EV_WRITE;
	if (exchange->upstream_eof)
		return events;
	if (exchange->state == EXCHANGE_SEND
			? !exchange->interim
			: !transport_pending(&exchange->top) && !transport_pending(&exchange->down))
		events |= EV_READ;
	return events;
}

/* Until when something has to happen; 0: no matter. */
static uint64_t due_ms(const struct exchange *exchange)
{
	const struct worker *worker = exchange->worker;
	uint32_t timeout_ms = exchange->stream_idle_timeout_ms;

	switch (exchange->state) {
	case EXCHANGE_SEND:
		if (exchange->answer_by_ms)
			return exchange->answer_by_ms;
		timeout_ms = exchange->request_ended || exchange->upstream_blocked ||
					     exchange->upstream->state == UPSTREAM_CONNECTING
				     ? exchange->request_timeout_ms
				     : worker->settings.client_body_timeout_ms;
		break;
	case EXCHANGE_ANSWER:
		timeout_ms = worker->settings.client_body_timeout_ms;
		break;
	case EXCHANGE_TUNNEL:
		/* Where one side has said good-bye, silence of the other is not for ever. */
		if (exchange->upgraded_idle_timeout_ms ||
			(!exchange->client_eof && !exchange->upstream_eof))
			timeout_ms = exchange->upgraded_idle_timeout_ms;
		break;
	default:
		break;
	}
	return timeout_ms ? worker->now_ms + timeout_ms : 0;
}

/* What is empty holds nothing and is lent to others: silence costs no buffer. */
static void give_back_if_empty(struct exchange *exchange, struct http_window *window)
{
	if (window->data && window->at == window->end)
		buffer_give(&exchange->worker->buffers, window);
}

/* Of a client whose descriptor the loop has not seen yet only its going away is of interest while
 * the tenant works. Most answers are there sooner than that matters, and many a connection is
 * closed then. */
static bool departure_can_wait(const struct exchange *exchange, int events)
{
	return exchange->client->unseen && events == EV_READ && exchange->request_ended &&
	       exchange->state == EXCHANGE_SEND;
}

static void watch_client(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct client *client = exchange->client;
	int events = client_events(exchange);

	if (departure_can_wait(exchange, events))
		deadline_set(&worker->wheel, &client->deadline, worker->now_ms + DEPARTURE_MS);
	else
		client_watch(client, events);
}

void relay_watch(struct exchange *exchange)
{
	uint64_t due;

	if (exchange->state != EXCHANGE_HEAD) {
		give_back_if_empty(exchange, &exchange->up);
		give_back_if_empty(exchange, &exchange->down);
	}
	watch_client(exchange);
	if (exchange->upstream)
		upstream_watch(exchange->upstream, upstream_events(exchange));
	/* Those two have theirs set already, and bytes do not put it off. */
	if (exchange->state == EXCHANGE_HEAD || exchange->state == EXCHANGE_WAIT)
		return;
	due = due_ms(exchange);
	if (due)
		deadline_set(&exchange->worker->wheel, &exchange->deadline, due);
	else
		deadline_stop(&exchange->deadline);
}
