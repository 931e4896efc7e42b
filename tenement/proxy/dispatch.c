#include "dispatch.h"

#include "common/clock.h"
#include "common/log.h"
#include "proxy/admit.h"
#include "proxy/exchange.h"
#include "proxy/firewall.h"
#include "proxy/queue.h"
#include "proxy/relay.h"
#include "proxy/timing.h"
#include "proxy/upstream.h"
#include "proxy/wait.h"
#include "proxy/worker.h"

#define RETRY_FIRST_MS     50 /* a refused connection; grows to RETRY_MOST_MS */
#define RETRY_MOST_MS      500
#define RETRY_QUEUE_MS     5 /* the tenant's listen queue is full */
#define LOST_MAX           2 /* fresh connections that died under one request */
#define NO_ROOM_RETRY_SECS 5
#define RETRY_AFTER_MOST   86400 /* seconds */

static void refuse_queue_full(struct exchange *exchange)
{
	exchange_refuse(exchange, 503, BOARD_REFUSED_QUEUE_FULL, "too many requests are waiting");
}

static void wait_for(
	struct exchange *exchange, const struct route_instance *instance, uint32_t retry_ms)
{
	bool late = exchange->wait_until_ms && exchange->worker->now_ms >= exchange->wait_until_ms;

	if (late && timing_no_room(exchange)) {
		exchange_refuse_until(exchange, 503, BOARD_REFUSED_NO_ROOM,
			"there is no room to start the application", NO_ROOM_RETRY_SECS);
		return;
	}
	if (late && !timing_extends(exchange, instance)) {
		if (exchange->was_refused)
			exchange_refuse(exchange, 502, BOARD_REFUSED_UPSTREAM,
				"the application does not answer");
		else
			exchange_refuse(exchange, 504, BOARD_REFUSED_WAKE_TIMEOUT,
				"the application did not start");
		return;
	}
	if (worker_ends(exchange->worker)) {
		exchange_refuse(exchange, 503, BOARD_REFUSED_OVERLOAD, "the server is stopping");
		return;
	}
	if (!firewall_admits(exchange, instance, &retry_ms))
		return;
	if (!wait_enter(exchange, instance, retry_ms)) {
		refuse_queue_full(exchange);
		return;
	}
	/* While it waits for this it does not wait for a place. */
	exchange->queue_until_ms = 0;
	relay_watch(exchange);
}

static void go_wait(
	struct exchange *exchange, const struct route_instance *instance, uint32_t retry_ms)
{
	if (firewall_passes(exchange, instance))
		wait_for(exchange, instance, retry_ms);
}

static uint32_t retry_time(struct exchange *exchange)
{
	uint32_t now = exchange->retry_ms ? exchange->retry_ms : RETRY_FIRST_MS;

	exchange->retry_ms = now * 2 < RETRY_MOST_MS ? now * 2 : RETRY_MOST_MS;
	return now;
}

static void wrong_peer(struct exchange *exchange, const struct route_instance *instance)
{
	struct worker *worker = exchange->worker;

	if (worker_log_is_due(worker, &worker->peer_logged_ms))
		log_warn("the socket of %s is not its own: it is a link, or another user "
			 "listens there",
			instance->name);
	exchange_refuse(exchange, 502, BOARD_REFUSED_PEER, "bad gateway");
}

static void count_failure(struct exchange *exchange)
{
	struct board_cell *cell = &exchange->worker->cells[exchange->target.slot];

	atomic_fetch_add_explicit(&cell->failures, 1, memory_order_relaxed);
}

static void start(struct exchange *exchange, const struct route_instance *instance)
{
	struct worker *worker = exchange->worker;

	switch (upstream_get(worker, instance, exchange, &exchange->upstream)) {
	case UPSTREAM_OK:
		relay_begin(exchange);
		break;
	case UPSTREAM_REFUSED:
		exchange_leave_board(exchange);
		count_failure(exchange);
		exchange->was_refused = true;
		go_wait(exchange, instance, retry_time(exchange));
		break;
	case UPSTREAM_BUSY_QUEUE:
		exchange_leave_board(exchange);
		exchange->was_refused = true;
		go_wait(exchange, instance, RETRY_QUEUE_MS);
		break;
	case UPSTREAM_NO_FD:
		exchange_refuse(exchange, 503, BOARD_REFUSED_OVERLOAD, "overloaded");
		break;
	case UPSTREAM_WRONG_PEER:
		wrong_peer(exchange, instance);
		break;
	}
}

static bool body_is_too_large(struct exchange *exchange, const struct route_instance *instance)
{
	const struct http_transfer *body = &exchange->request_body;

	return instance->max_body_bytes && body->bytes + body->left > instance->max_body_bytes;
}

static void instance_take(struct exchange *exchange, const struct route_instance *instance)
{
	exchange->request_timeout_ms = instance->request_timeout_ms;
	exchange->stream_idle_timeout_ms = instance->stream_idle_timeout_ms;
	exchange->upgraded_idle_timeout_ms = instance->upgraded_idle_timeout_ms;
	exchange->max_body_bytes = instance->max_body_bytes;
	exchange->server_timing = instance->server_timing;
}

static void try_ready(struct exchange *exchange, const struct route_instance *instance)
{
	struct worker *worker = exchange->worker;
	enum instance_state state;

	if (!admit_place(exchange, instance))
		return;
	instance_take(exchange, instance);
	board_enter(&worker->cells[exchange->target.slot]);
	exchange->in_flight = true;
	/* Between our look at the state and our count the daemon may have begun to drain it. */
	if (!route_table_state(worker->table, exchange->target, &state) ||
		state != INSTANCE_READY) {
		exchange_leave_board(exchange);
		go_wait(exchange, instance, 0);
		return;
	}
	start(exchange, instance);
}

/* It was given up. When its cool-down is over one request wakes it, and others wait with that. */
static void try_failed(struct exchange *exchange, const struct route_instance *instance)
{
	uint64_t now = clock_ms(CLOCK_MONOTONIC), left;

	if (instance->retry_at_ms && now >= instance->retry_at_ms) {
		exchange->was_refused = false;
		if (firewall_passes(exchange, instance) && admit_request(exchange, instance))
			wait_for(exchange, instance, 0);
		return;
	}
	left = instance->retry_at_ms ? (instance->retry_at_ms - now + 999) / 1000 : 0;
	exchange_refuse_until(exchange, 503, BOARD_REFUSED_DOWN, "the application is down",
		left < RETRY_AFTER_MOST ? (uint32_t)left : RETRY_AFTER_MOST);
}

/* The instance is gone, or the routes have changed while the request waited: look again. */
static bool is_stale(const struct exchange *exchange)
{
	return exchange->resolved_generation != exchange->worker->generation;
}

void dispatch_try(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct route_instance instance;
	enum instance_state state;

	if (is_stale(exchange)) {
		dispatch_again(exchange);
		return;
	}
	if (!route_table_instance(worker->table, exchange->target, &instance) ||
		!route_table_state(worker->table, exchange->target, &state)) {
		/* The slot was given away since the host was looked up. */
		if (!exchange->looked_again) {
			exchange->looked_again = true;
			dispatch_again(exchange);
			return;
		}
		exchange_refuse(exchange, 404, BOARD_REFUSED_UNKNOWN_HOST, "not found");
		return;
	}
	exchange->looked_again = false;
	if (body_is_too_large(exchange, &instance)) {
		exchange_refuse(exchange, 413, BOARD_REFUSED_TOO_LARGE, "body too large");
		return;
	}
	switch (state) {
	case INSTANCE_READY:
		if (admit_request(exchange, &instance))
			try_ready(exchange, &instance);
		break;
	case INSTANCE_SUSPENDED:
		exchange_answer_suspended(exchange, &instance);
		break;
	case INSTANCE_FAILED:
		try_failed(exchange, &instance);
		break;
	case INSTANCE_STOPPED:
		if (instance.suspended_status == 507)
			exchange_refuse(exchange, 507, BOARD_REFUSED_DOWN,
				"the application's storage is full");
		else
			exchange_refuse(
				exchange, 503, BOARD_REFUSED_DOWN, "the application is down");
		break;
	default:
		exchange->was_refused = false;
		if (firewall_passes(exchange, &instance) && admit_request(exchange, &instance))
			wait_for(exchange, &instance, 0);
		break;
	}
}

void dispatch(struct exchange *exchange, enum route_result result)
{
	switch (result) {
	case ROUTE_FOUND:
		dispatch_try(exchange);
		break;
	case ROUTE_NOBODY:
		exchange_refuse(exchange, 404, BOARD_REFUSED_UNKNOWN_HOST, "not found");
		break;
	case ROUTE_NOT_LOCAL:
		exchange_refuse(exchange, 403, BOARD_REFUSED_UNKNOWN_HOST,
			"the management API answers on this machine alone, until there is TLS");
		break;
	case ROUTE_NO_WEIGHT:
		exchange_refuse(exchange, 503, BOARD_REFUSED_DOWN, "no instance takes traffic");
		break;
	case ROUTE_HEALTH:
		exchange_answer_health(exchange);
		break;
	case ROUTE_ASKS:
		relay_watch(exchange);
		break;
	case ROUTE_NOT_WOKEN:
		firewall_refuse(exchange);
		break;
	case ROUTE_ASKS_FULL:
		exchange_refuse(
			exchange, 503, BOARD_REFUSED_QUEUE_FULL, "too many requests are waiting");
		break;
	}
}

void dispatch_again(struct exchange *exchange)
{
	enum route_result result = route_again(exchange);

	firewall_settle(exchange, result == ROUTE_FOUND);
	dispatch(exchange, result);
}

void dispatch_upstream_failed(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;
	struct route_instance instance;
	bool reused = upstream->reused;
	bool refused = upstream->state == UPSTREAM_CONNECTING;
	bool repeatable = !exchange->sent_any ||
			  (http_method_is_idempotent(exchange->method) && !exchange->body_sent);

	exchange_drop_upstream(exchange);
	exchange_leave_board(exchange);
	deadline_stop(&exchange->deadline);
	buffer_give(&exchange->worker->buffers, &exchange->down);
	if (!reused)
		count_failure(exchange);
	if (!reused && !refused)
		exchange->lost++;
	if (!repeatable || exchange->answer_seen || exchange->lost >= LOST_MAX ||
		!route_table_instance(exchange->worker->table, exchange->target, &instance)) {
		exchange_refuse(exchange, 502, BOARD_REFUSED_UPSTREAM,
			"the application broke the connection");
		return;
	}
	exchange->top.at = HTTP_WINDOW_BEFORE;
	exchange->request_ended = false;
	exchange->answer_by_ms = 0;
	/* It had got through: what it waited before that does not count against its next wait. */
	if (!refused)
		exchange->wait_until_ms = 0;
	if (reused) {
		/* It has been let in once: nobody who waits goes before it now. */
		exchange->from_queue = true;
		dispatch_try(exchange);
		exchange->from_queue = false;
		return;
	}
	exchange->was_refused = true;
	go_wait(exchange, &instance, retry_time(exchange));
}

void dispatch_wait_expired(struct exchange *exchange)
{
	if (exchange->ask) {
		exchange_refuse(
			exchange, 504, BOARD_REFUSED_WAKE_TIMEOUT, "the application did not start");
		return;
	}
	if (exchange->queued) {
		queue_expired(exchange);
		return;
	}
	wait_leave(exchange);
	/* It tries once more even at the end: a bell may just not have been heard yet. */
	dispatch_try(exchange);
}
