#include "admit.h"

#include <utlist.h>

#include "board_peers.h"
#include "common/clock.h"
#include "limit.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/handover.h"
#include "proxy/queue.h"
#include "proxy/worker.h"

/* ---- connections ---- */

static void connection_forget(struct client *client)
{
	struct worker *worker = client->worker;
	uint32_t slot = client->counted_for.slot;

	limit_count_give(&worker->board->slots[slot].connections, &worker->cells[slot].connections);
	client->counted = false;
	worker->counted_clients--;
}

static bool connection_admit(struct client *client, const struct route_instance *instance)
{
	struct worker *worker = client->worker;
	uint32_t slot = instance->self.slot;

	if (client->counted && client->counted_for.slot == slot &&
		client->counted_for.incarnation == instance->self.incarnation)
		return true;
	if (client->counted)
		connection_forget(client);
	if (!instance->max_connections)
		return true;
	client->counted = limit_count_take(&worker->board->slots[slot].connections,
		&worker->cells[slot].connections, instance->max_connections);
	client->counted_for = instance->self;
	worker->counted_clients += client->counted;
	return client->counted;
}

/* The generation that is acknowledged after this is what lets the slots of those that are gone be
 * given to others. */
void admit_examine(struct worker *worker)
{
	struct client *client;
	enum instance_state state;

	if (!worker->counted_clients)
		return;
	DL_FOREACH (worker->clients, client)
		if (client->counted &&
			!route_table_state(worker->table, client->counted_for, &state))
			connection_forget(client);
}

/* ---- rate ---- */

/* The worker's own clock stands still for the length of a turn and is milliseconds coarse, by which
 * a burst after a pause could be let in too large. This one is read without a system call. */
static void refuse_rate(struct exchange *exchange, uint64_t wait_ns)
{
	uint64_t seconds = (wait_ns + 999999999u) / 1000000000u;

	exchange_refuse_until(exchange, 429, BOARD_REFUSED_RATE, "too many requests",
		seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds);
}

bool admit_request(struct exchange *exchange, const struct route_instance *instance)
{
	struct client *client = exchange->client;
	struct board_slot *slot = &exchange->worker->board->slots[instance->self.slot];
	uint64_t wait_ns;

	if (!instance->rate_interval_ns && !instance->max_connections && !client->counted)
		return true;
	if (!connection_admit(client, instance)) {
		exchange->keep_alive = false;
		exchange_refuse(exchange, 503, BOARD_REFUSED_CONNECTIONS, "too many connections");
		return false;
	}
	if (!instance->rate_interval_ns || exchange->rate_counted)
		return true;
	exchange->rate_counted = true;
	if (limit_rate_take(&slot->rate_at_ns, clock_ns(CLOCK_MONOTONIC),
		    instance->rate_interval_ns, instance->rate_burst, &wait_ns))
		return true;
	refuse_rate(exchange, wait_ns);
	return false;
}

/* ---- places ---- */

bool admit_place(struct exchange *exchange, const struct route_instance *instance)
{
	struct worker *worker = exchange->worker;
	struct board_slot *slot = &worker->board->slots[exchange->target.slot];
	struct board_cell *cell = &worker->cells[exchange->target.slot];
	bool overtakes;

	if (!instance->max_concurrent)
		return true;
	/* Who comes now does not go before those that wait, in whatever worker. */
	overtakes =
		!exchange->from_queue && atomic_load_explicit(&slot->queued, memory_order_relaxed);
	exchange->admitted = !overtakes && limit_count_take(&slot->admitted, &cell->admitted,
						   instance->max_concurrent);
	if (exchange->admitted) {
		exchange->queue_until_ms = 0;
		return true;
	}
	/* When it has been refused EXCHANGE may be the client's next request already, which has a
	 * place: it must not be looked at. */
	if (!queue_enter(exchange, instance))
		exchange_refuse(
			exchange, 503, BOARD_REFUSED_CONCURRENT, "too many requests at a time");
	return false;
}

void admit_leave_place(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	uint32_t slot = exchange->target.slot;

	if (!exchange->admitted)
		return;
	exchange->admitted = false;
	limit_count_give(&worker->board->slots[slot].admitted, &worker->cells[slot].admitted);
	queue_place_is_free(worker, slot);
}

/* ---- addresses ---- */

bool admit_address(struct client *client)
{
	struct worker *worker = client->worker;
	uint32_t most = worker->settings.max_connections_per_ip;
	uint32_t place;

	if (!most || !client->has_address || settings_trusts(&worker->settings, client->address))
		return true;
	if (!board_peers_take(worker->board, worker->index, client->address, most, &place))
		return false;
	client->peer_counted = place != BOARD_PEER_NONE;
	client->peer_place = place;
	return true;
}

void admit_forget(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->counted)
		connection_forget(client);
	if (client->peer_counted)
		board_peers_give(worker->board, worker->index, client->peer_place);
	client->peer_counted = false;
}

/* ---- another worker ----
 *
 * Should the old worker die before its ledger is changed, one too few is counted, as limit.h has
 * it. Between the ledgers the message is what counts: the keeper holds it, whoever dies. */

static void ledger_subtract(_Atomic uint32_t *ledger)
{
	uint32_t held = atomic_load_explicit(ledger, memory_order_relaxed);

	atomic_store_explicit(ledger, held ? held - 1 : 0, memory_order_relaxed);
}

static void ledger_add(_Atomic uint32_t *ledger)
{
	uint32_t held = atomic_load_explicit(ledger, memory_order_relaxed);

	atomic_store_explicit(ledger, held + 1, memory_order_relaxed);
}

void admit_hand_over(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->counted) {
		ledger_subtract(&worker->cells[client->counted_for.slot].connections);
		worker->counted_clients--;
	}
	if (client->peer_counted)
		ledger_subtract(&worker->board->peer_ledgers[worker->index][client->peer_place]);
	client->counted = client->peer_counted = false;
}

void admit_take_over(struct client *client, const struct handover_client *state)
{
	struct worker *worker = client->worker;
	enum instance_state now;

	/* A slot that was given to another on the way has been counted anew from nothing. */
	client->counted =
		state->counted && route_table_state(worker->table, state->counted_for, &now);
	client->counted_for = state->counted_for;
	if (client->counted) {
		ledger_add(&worker->cells[client->counted_for.slot].connections);
		worker->counted_clients++;
	}
	client->peer_counted = state->peer_counted && state->peer_place < BOARD_PEERS;
	client->peer_place = client->peer_counted ? state->peer_place : 0;
	if (client->peer_counted)
		ledger_add(&worker->board->peer_ledgers[worker->index][client->peer_place]);
}
