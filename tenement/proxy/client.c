#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "proxy_protocol.h"
#include "proxy/admit.h"
#include "proxy/exchange.h"
#include "proxy/handover.h"
#include "proxy/relay.h"
#include "proxy/request.h"
#include "proxy/worker.h"

#define LINGER_MS 2000
#define FREE_MAX  1024
#define FRESH_MS  1000
#define SHED_MOST 64

#define TURNED_AWAY_MAX 64 /* clients that linger after they were turned away */
#define TURNED_AWAY_MS  500

void client_watch(struct client *client, int events)
{
	struct ev_loop *loop = client->worker->loop;
	ev_io *io = &client->io;

	if ((io->events & (EV_READ | EV_WRITE)) == events && (ev_is_active(io) || !events))
		return;
	ev_io_stop(loop, io);
	ev_io_modify(io, events);
	if (!events)
		return;
	client->unseen = false;
	ev_io_start(loop, io);
}

void client_close(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->state == CLIENT_CLOSED)
		return;
	if (client->exchange)
		exchange_release(client->exchange);
	client->exchange = NULL;
	client->state = CLIENT_CLOSED;
	deadline_stop(&client->deadline);
	ev_io_stop(worker->loop, &client->io);
	close(client->io.fd);
	DL_DELETE(worker->clients, client);
	admit_forget(client);
	if (client->turned_away)
		worker->turned_away--;
	LL_PREPEND(worker->dead_clients, client);
	atomic_fetch_sub_explicit(&worker->page->clients, 1, memory_order_relaxed);
}

static void linger_read(struct client *client)
{
	char waste[16 * 1024];
	ssize_t got = recv(client->io.fd, waste, sizeof(waste), 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		client_close(client);
}

void client_linger(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->exchange)
		exchange_release(client->exchange);
	client->exchange = NULL;
	if (shutdown(client->io.fd, SHUT_WR) < 0) {
		client_close(client);
		return;
	}
	client->state = CLIENT_LINGER;
	client_watch(client, EV_READ);
	deadline_set(&worker->wheel, &client->deadline, worker->now_ms + LINGER_MS);
}

/* A connection that has become busy leaves its deadline where it is: the next time it is idle that
 * is put off by writing one number. */
static void expired(struct deadline *deadline)
{
	struct client *client =
		(struct client *)((char *)deadline - offsetof(struct client, deadline));

	if (client->state != CLIENT_BUSY) {
		client_close(client);
	} else if (client->unseen) {
		client->unseen = false;
		relay_watch(client->exchange);
	}
}

static void become_idle(struct client *client)
{
	struct worker *worker = client->worker;
	const struct settings *settings = &worker->settings;
	uint32_t timeout_ms = client->served ? settings->keepalive_timeout_ms
					     : settings->client_header_timeout_ms;

	if (worker->draining || !timeout_ms) {
		client_close(client);
		return;
	}
	client->state = CLIENT_IDLE;
	client->idle_since_ms = worker->now_ms;
	if (worker->retiring && handover_give(client))
		return;
	client_watch(client, EV_READ);
	deadline_set(&worker->wheel, &client->deadline, worker->now_ms + timeout_ms);
}

/* What the last exchange left unread is the beginning of the next request; if that is whole it is
 * served at once, and perhaps through before request_parse() returns. */
void client_next(struct client *client)
{
	if (client->parsing) {
		client->more = true;
		return;
	}
	client->parsing = true;
	do {
		struct exchange *exchange = client->exchange;

		client->more = false;
		if (exchange && exchange->up.end > exchange->up.ready) {
			request_parse(exchange);
		} else {
			if (exchange)
				exchange_release(exchange);
			client->exchange = NULL;
			become_idle(client);
		}
	} while (client->more && client->state != CLIENT_CLOSED);
	client->parsing = false;
}

/* There is no memory even to read what it asks for. */
static void refuse_for_memory(struct client *client)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
				     "Retry-After: 1\r\nConnection: close\r\n\r\n";

	client->state = CLIENT_LINGER; /* not one of the idle */
	worker_shed(client->worker);
	worker_refusal(client->worker, BOARD_REFUSED_OVERLOAD);
	if (send(client->io.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0) {
		client_close(client);
		return;
	}
	client_linger(client);
}

static void readable_event(struct ev_loop *loop, ev_io *io, int events)
{
	struct client *client = io->data;

	(void)loop;
	switch (client->state) {
	case CLIENT_IDLE:
		client->exchange = exchange_open(client);
		if (!client->exchange) {
			refuse_for_memory(client);
			return;
		}
		client->state = CLIENT_BUSY;
		exchange_client_event(client->exchange, events);
		break;
	case CLIENT_BUSY:
		exchange_client_event(client->exchange, events);
		break;
	case CLIENT_LINGER:
		linger_read(client);
		break;
	case CLIENT_CLOSED:
		break;
	}
}

static void address_clear(struct client *client)
{
	client->has_address = false;
	memset(client->address, 0, sizeof(client->address));
	snprintf(client->peer, sizeof(client->peer), "unknown");
}

/* IPv4 as ::ffff:a.b.c.d */
static void address_set(struct client *client, const uint8_t address[16])
{
	bool v4;

	memcpy(client->address, address, sizeof(client->address));
	client->has_address = true;
	v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)client->address);
	inet_ntop(v4 ? AF_INET : AF_INET6, client->address + (v4 ? 12 : 0), client->peer,
		sizeof(client->peer));
}

static void peer_read(struct client *client, const struct sockaddr_storage *peer)
{
	uint8_t address[16] = { [10] = 0xff, [11] = 0xff };

	if (peer->ss_family == AF_INET)
		memcpy(address + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	else if (peer->ss_family == AF_INET6)
		memcpy(address, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
	else {
		address_clear(client);
		return;
	}
	address_set(client, address);
}

/* The answer to who has too many connections goes out without a look at what it asks. Then what it
 * sends is read for a moment, lest a reset overtakes the answer; of a flood only a few are lingered
 * for. */
static void turn_away(struct client *client)
{
	static const char body[] =
		"{\"error\":\"too many connections from your address\",\"status\":429}\n";
	struct worker *worker = client->worker;
	char answer[512];
	int len = snprintf(answer, sizeof(answer),
		"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nCache-Control: no-store\r\nRetry-After: 1\r\n"
		"Connection: close\r\n\r\n%s",
		sizeof(body) - 1, body);

	worker_refusal(worker, BOARD_REFUSED_CONNECTIONS_PER_IP);
	if (send(client->io.fd, answer, (size_t)len, MSG_NOSIGNAL) != len ||
		worker->turned_away >= TURNED_AWAY_MAX) {
		client_close(client);
		return;
	}
	worker->turned_away++;
	client->turned_away = true;
	client_linger(client);
	if (client->state == CLIENT_LINGER)
		deadline_set(&worker->wheel, &client->deadline, worker->now_ms + TURNED_AWAY_MS);
}

/* Who the client is is known from here on, once for each: whether it comes directly or by a proxy
 * that introduced it. False: it is not let in, and has been answered. */
static bool client_address_known(struct client *client)
{
	client->introduction = CLIENT_INTRODUCED;
	if (admit_address(client))
		return true;
	turn_away(client);
	return false;
}

bool client_introduce(struct client *client, const struct proxy_protocol *header)
{
	if (header->source == PROXY_PROTOCOL_ADDRESS)
		address_set(client, header->address);
	else if (header->source == PROXY_PROTOCOL_PATH)
		address_clear(client);
	if (header->source != PROXY_PROTOCOL_PEER)
		return client_address_known(client);
	/* The proxy itself, or somebody whom it does not name: its address stands for many. */
	client->introduction = CLIENT_INTRODUCED;
	return true;
}

void client_trust(struct client *client)
{
	const struct worker *worker = client->worker;

	if (client->served && client->trust_generation == worker->generation)
		return;
	client->trust_generation = worker->generation;
	client->trusted =
		client->has_address && settings_trusts(&worker->settings, client->address);
}

static struct client *make(struct worker *worker, int fd, enum client_introduction introduction)
{
	struct client *client = worker->free_clients;

	if (client) {
		LL_DELETE(worker->free_clients, client);
		worker->free_client_count--;
	} else {
		client = malloc(sizeof(*client));
		if (!client) {
			worker_shed(worker);
			close(fd);
			return NULL;
		}
	}
	memset(client, 0, sizeof(*client));
	client->worker = worker;
	client->unseen = true;
	client->deadline.expired = expired;
	client->state = CLIENT_IDLE;
	client->introduction = introduction;
	ev_io_init(&client->io, readable_event, fd, EV_READ);
	client->io.data = client;
	address_clear(client);
	atomic_fetch_add_explicit(&worker->page->clients, 1, memory_order_relaxed);
	DL_APPEND(worker->clients, client);
	return client;
}

void client_adopt(struct worker *worker, int fd, const struct handover_client *state)
{
	const struct settings *settings = &worker->settings;
	uint32_t timeout_ms =
		state->served ? settings->keepalive_timeout_ms : settings->client_header_timeout_ms;
	struct client *client = make(
		worker, fd, state->to_be_introduced ? CLIENT_TO_BE_INTRODUCED : CLIENT_INTRODUCED);

	if (!client)
		return;
	client->served = state->served;
	client->for_api = state->for_api;
	if (state->has_address)
		address_set(client, state->address);
	client->idle_since_ms = worker->now_ms - state->idle_ms;
	admit_take_over(client, state);
	client_watch(client, EV_READ);
	deadline_set(&worker->wheel, &client->deadline, client->idle_since_ms + timeout_ms);
}

void client_open(struct worker *worker, int fd, const struct sockaddr_storage *peer,
	enum client_introduction introduction, bool for_api)
{
	struct client *client = make(worker, fd, introduction);

	if (!client)
		return;
	client->for_api = for_api;
	peer_read(client, peer);
	if (introduction == CLIENT_INTRODUCED && !client_address_known(client))
		return;
	/* The first request is there more often than not. */
	readable_event(worker->loop, &client->io, EV_READ);
}

static bool can_be_shed(const struct client *client)
{
	const struct worker *worker = client->worker;

	return client->state == CLIENT_IDLE &&
	       (client->served || worker->now_ms - client->idle_since_ms >= FRESH_MS);
}

/* Put CLIENT where it belongs among the COUNT that have been idle for longest. */
static void among_oldest(
	struct client **oldest, uint32_t *known, uint32_t count, struct client *client)
{
	uint32_t at = *known;

	if (at == count && client->idle_since_ms >= oldest[at - 1]->idle_since_ms)
		return;
	if (at < count)
		(*known)++;
	else
		at--;
	for (; at && client->idle_since_ms < oldest[at - 1]->idle_since_ms; at--)
		oldest[at] = oldest[at - 1];
	oldest[at] = client;
}

/* Seldom needed: so all are looked at then, and nothing is kept in order with every request. */
uint32_t client_shed(struct worker *worker, uint32_t count)
{
	struct client *oldest[SHED_MOST];
	struct client *client;
	uint32_t known = 0;

	if (count > SHED_MOST)
		count = SHED_MOST;
	if (!count)
		return 0;
	DL_FOREACH (worker->clients, client)
		if (can_be_shed(client))
			among_oldest(oldest, &known, count, client);
	for (uint32_t i = 0; i < known; i++)
		client_close(oldest[i]);
	return known;
}

/* A request that is there already is answered still: its sender could not know that we end. */
static bool has_request(const struct client *client)
{
	char byte;

	return recv(client->io.fd, &byte, 1, MSG_PEEK) > 0;
}

void client_close_idle(struct worker *worker)
{
	struct client *client;
	struct client *next;

	for (client = worker->clients; client; client = next) {
		next = client->next;
		if (client->state != CLIENT_IDLE)
			continue;
		if (has_request(client))
			readable_event(worker->loop, &client->io, EV_READ);
		else
			client_close(client);
		/* To serve one may have cost another its descriptor. */
		if (next && next->state == CLIENT_CLOSED)
			next = worker->clients;
	}
}

void client_reap(struct worker *worker)
{
	while (worker->dead_clients) {
		struct client *client = worker->dead_clients;
		LL_DELETE(worker->dead_clients, client);
		if (worker->free_client_count >= FREE_MAX) {
			free(client);
			continue;
		}
		LL_PREPEND(worker->free_clients, client);
		worker->free_client_count++;
	}
}
