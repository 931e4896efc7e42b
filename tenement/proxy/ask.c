#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/firewall.h"
#include "proxy/worker.h"

struct ask {
	struct ask *next;
	struct ask *prev;
	struct board_ask *slot;
	struct exchange *waiters;
	uint32_t count;
};

static struct board_ask *slot_take(struct worker *worker)
{
	for (uint32_t i = 0; i < BOARD_ASKS_MAX; i++) {
		struct board_ask *slot = &worker->page->asks[i];
		if (atomic_load_explicit(&slot->state, memory_order_acquire) == BOARD_ASK_FREE)
			return slot;
	}
	return NULL;
}

static struct ask *ask_find(struct worker *worker, const char *service, const char *id)
{
	struct ask *ask;

	DL_FOREACH (worker->asks, ask)
		if (!strcmp(ask->slot->service, service) && !strcmp(ask->slot->id, id))
			return ask;
	return NULL;
}

bool ask_is_made(struct worker *worker, const char *service, const char *id, size_t id_len)
{
	char name[sizeof(((struct board_ask *)0)->id)];

	if (id_len >= sizeof(name))
		return false;
	memcpy(name, id, id_len);
	name[id_len] = '\0';
	return ask_find(worker, service, name);
}

static struct ask *ask_new(struct worker *worker, const char *service, const char *id)
{
	struct board_ask *slot = slot_take(worker);
	struct ask *ask = slot ? calloc(1, sizeof(*ask)) : NULL;

	if (!ask)
		return NULL;
	ask->slot = slot;
	snprintf(slot->service, sizeof(slot->service), "%s", service);
	snprintf(slot->id, sizeof(slot->id), "%s", id);
	atomic_store_explicit(&slot->state, BOARD_ASK_ASKED, memory_order_seq_cst);
	worker_ring(worker);
	DL_APPEND(worker->asks, ask);
	return ask;
}

bool ask_join(struct exchange *exchange, const char *service, const char *id, size_t id_len)
{
	struct worker *worker = exchange->worker;
	char name[sizeof(((struct board_ask *)0)->id)];
	struct ask *ask;

	if (id_len >= sizeof(name) || strlen(service) >= sizeof(ask->slot->service))
		return false;
	memcpy(name, id, id_len);
	name[id_len] = '\0';
	ask = ask_find(worker, service, name);
	if (!ask)
		ask = ask_new(worker, service, name);
	if (!ask || ask->count >= ASK_WAITERS_MAX)
		return false;
	exchange->ask = ask;
	exchange->state = EXCHANGE_WAIT;
	DL_APPEND(ask->waiters, exchange);
	ask->count++;
	deadline_set(&worker->wheel, &exchange->deadline, worker->now_ms + ASK_WAIT_MS);
	return true;
}

/* An ask without waiters stays until the daemon has answered: the slot is the daemon's till then.
 */
void ask_leave(struct exchange *exchange)
{
	struct ask *ask = exchange->ask;

	if (!ask)
		return;
	DL_DELETE(ask->waiters, exchange);
	ask->count--;
	exchange->ask = NULL;
	deadline_stop(&exchange->deadline);
}

static void ask_finish(struct worker *worker, struct ask *ask, uint32_t answer)
{
	DL_DELETE(worker->asks, ask);
	atomic_store_explicit(&ask->slot->state, BOARD_ASK_FREE, memory_order_release);
	while (ask->waiters) {
		struct exchange *exchange = ask->waiters;
		ask_leave(exchange);
		if (answer == BOARD_ASK_DONE) {
			dispatch_again(exchange);
		} else {
			firewall_pay_back(exchange);
			exchange_refuse(exchange, 404, BOARD_REFUSED_UNKNOWN_HOST, "not found");
		}
	}
	free(ask);
}

void ask_examine(struct worker *worker)
{
	struct ask *ask;
	struct ask *next;

	DL_FOREACH_SAFE (worker->asks, ask, next) {
		uint32_t state = atomic_load_explicit(&ask->slot->state, memory_order_acquire);
		if (state == BOARD_ASK_DONE || state == BOARD_ASK_REFUSED)
			ask_finish(worker, ask, state);
	}
}
