#include "tunnel.h"

#include <string.h>
#include <sys/socket.h>

#include "proxy/admit.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/relay.h"
#include "proxy/transport.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"
#include "websocket.h"

struct direction {
	int from;
	int to;
	struct http_window *first; /* goes before what is in .window; may be NULL */
	struct http_window *window;
	bool *eof;     /* .from has said its last */
	bool *blocked; /* .to takes no more at the moment */
	void (*count)(struct exchange *exchange, size_t bytes);
	void (*ends)(struct exchange *exchange); /* .from has just said its last */
};

/* Write what there is, read once, write that. MOVED_EOF: this direction is through. */
static enum moved pump(struct exchange *exchange, const struct direction *way)
{
	for (bool was_read = false;; was_read = true) {
		size_t bytes;
		enum moved moved = transport_write(way->to, way->first, way->window, &bytes);

		way->count(exchange, bytes);
		*way->blocked = moved == MOVED_BLOCKED;
		if (moved != MOVED_ALL)
			return moved;
		if (*way->eof) {
			shutdown(way->to, SHUT_WR);
			return MOVED_EOF;
		}
		if (was_read)
			return MOVED_ALL;
		moved = transport_read(exchange, way->from, way->window);
		if (moved == MOVED_BLOCKED)
			return MOVED_ALL;
		if (moved == MOVED_ERROR || moved == MOVED_NO_MEMORY)
			return MOVED_ERROR;
		*way->eof = moved == MOVED_EOF;
		way->window->ready = way->window->end;
		if (*way->eof)
			way->ends(exchange);
	}
}

static bool is_through(bool eof, const struct http_window *window)
{
	return eof && !transport_pending(window);
}

/* What comes on a silent connection may meet a tenant that has been frozen meanwhile, or is about
 * to be: the daemon stores the state and then reads when it was last used, we do it the other way
 * round. */
static void rouse(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	enum instance_state state;

	atomic_thread_fence(memory_order_seq_cst);
	if (!route_table_state(worker->table, exchange->target, &state) ||
		(state != INSTANCE_FROZEN && state != INSTANCE_DRAINING))
		return;
	board_want(worker->page, exchange->target.slot);
	worker_ring(worker);
}

/* What has just gone to a frozen tenant. */
static bool is_only_pings(struct exchange *exchange, size_t bytes)
{
	const struct http_window *window = &exchange->up;
	struct route_instance instance;
	enum instance_state state;

	return exchange->websocket && bytes <= window->at &&
	       route_table_state(exchange->worker->table, exchange->target, &state) &&
	       state == INSTANCE_FROZEN &&
	       route_table_instance(exchange->worker->table, exchange->target, &instance) &&
	       instance.ping_is_quiet &&
	       websocket_is_pings(window->data + window->at - bytes, bytes);
}

static void count_up(struct exchange *exchange, size_t bytes)
{
	transport_count_in(exchange, bytes);
	if (bytes && !is_only_pings(exchange, bytes))
		rouse(exchange);
}

/* Who is told that its tenant goes away comes back by and by, and does not take it for a fault. If
 * the tenant said so itself, nobody looks at what comes after. */
static void say_goodbye(struct exchange *exchange)
{
	struct http_window *window = &exchange->down;
	enum instance_state state;

	if (!exchange->websocket || !window->data ||
		(route_table_state(exchange->worker->table, exchange->target, &state) &&
			state != INSTANCE_STOPPING && state != INSTANCE_ASLEEP &&
			state != INSTANCE_STOPPED && state != INSTANCE_SUSPENDED))
		return;
	http_window_reset(window);
	memcpy(window->data + window->end, WEBSOCKET_GOING_AWAY, WEBSOCKET_GOING_AWAY_BYTES);
	window->end += WEBSOCKET_GOING_AWAY_BYTES;
	window->ready = window->end;
}

/* What the tenant has yet to take is use of it, however long it lies: nothing comes after it that
 * would thaw it, for the client is not read meanwhile. */
static void count_pending(struct exchange *exchange)
{
	struct board_cell *cell = &exchange->worker->cells[exchange->target.slot];
	bool pending = transport_pending(&exchange->up) > 0;

	if (pending == exchange->in_flight)
		return;
	exchange->in_flight = pending;
	if (!pending) {
		board_leave(cell, exchange->worker->now_ms);
		return;
	}
	board_enter(cell);
	rouse(exchange);
}

void tunnel_event(struct exchange *exchange, int client_events, int upstream_events)
{
	int client = exchange->client->io.fd;
	int upstream = exchange->upstream->io.fd;
	struct direction up = { client, upstream, NULL, &exchange->up, &exchange->client_eof,
		&exchange->upstream_blocked, count_up, rouse };
	struct direction down = { upstream, client, &exchange->top, &exchange->down,
		&exchange->upstream_eof, &exchange->client_blocked, transport_count_out,
		say_goodbye };
	bool move_up = (client_events & EV_READ) || (upstream_events & EV_WRITE);
	bool move_down = (upstream_events & EV_READ) || (client_events & EV_WRITE);

	if ((move_up && pump(exchange, &up) == MOVED_ERROR) ||
		(move_down && pump(exchange, &down) == MOVED_ERROR) ||
		(is_through(exchange->client_eof, &exchange->up) &&
			is_through(exchange->upstream_eof, &exchange->down) &&
			!transport_pending(&exchange->top))) {
		client_close(exchange->client);
	} else {
		count_pending(exchange);
		relay_watch(exchange);
	}
}

void tunnel_begin(struct exchange *exchange)
{
	struct board_cell *cell = &exchange->worker->cells[exchange->target.slot];

	atomic_fetch_add_explicit(&cell->upgraded, 1, memory_order_seq_cst);
	board_leave(cell, exchange->worker->now_ms);
	exchange->in_flight = false;
	admit_leave_place(exchange);
	exchange->upgraded = true;
	exchange->state = EXCHANGE_TUNNEL;
	exchange_count(exchange);
	/* Whatever has been read on either side belongs to the new protocol. */
	exchange->up.ready = exchange->up.end;
	exchange->down.ready = exchange->down.end;
	tunnel_event(exchange, EV_READ, EV_READ);
}
