#include "daemon/wake.h"

#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/declare.h"
#include "daemon/failures.h"
#include "daemon/instance.h"
#include "daemon/readiness.h"
#include "daemon/wake_times.h"
#include "daemon/upgrade.h"
#include "mem.h"
#include "names.h"

static ev_io reader;

/* What an open connection says to one that is told to go asks for nothing; who waits for its next
 * life is counted before it rings. */
static bool is_no_wish(struct daemon *d, const struct instance *instance)
{
	struct board_use use;

	if ((instance->state != INSTANCE_DRAINING || instance->draining_idle) &&
		instance->state != INSTANCE_STOPPING)
		return false;
	instance_use(d, instance, &use);
	return !use.waiting;
}

static void look_at_word(struct daemon *d, uint32_t first_slot, uint64_t bits)
{
	while (bits) {
		struct instance *instance =
			d->by_slot[first_slot + (uint32_t)__builtin_ctzll(bits)];
		bool only_asked;

		bits &= bits - 1;
		if (!instance || !instance->known)
			continue;
		instance->used = true;
		if (instance->state == INSTANCE_READY)
			readiness_mend(d, instance);
		/* Old news: the bell that followed the change of state has answered it. */
		if (instance->state == INSTANCE_READY || instance->state == INSTANCE_STOPPED ||
			instance->state == INSTANCE_SUSPENDED || is_no_wish(d, instance))
			continue;
		if (instance->state == INSTANCE_FAILED && !failures_cooled_down(instance))
			continue;
		wake_times_wanted(instance);
		only_asked = !instance->wanted_awake || instance->only_asked;
		instance_wake(d, instance, "a request");
		instance->only_asked = only_asked;
	}
}

struct asked {
	char service[sizeof(((struct board_ask *)0)->service)];
	char id[sizeof(((struct board_ask *)0)->id)];
};

/* The names come from shared memory that the proxy writes: copied first, then checked. */
static bool read_ask(struct board_ask *ask, struct asked *asked)
{
	if (atomic_load(&ask->state) != BOARD_ASK_ASKED)
		return false;
	memcpy(asked->service, ask->service, sizeof(asked->service));
	memcpy(asked->id, ask->id, sizeof(asked->id));
	asked->service[sizeof(asked->service) - 1] = asked->id[sizeof(asked->id) - 1] = '\0';
	return true;
}

/* What is granted is answered when its host is published: a worker that looked earlier, for
 * whatever bell, would find nobody there. */
static void look_at_ask(struct daemon *d, struct board_ask *ask)
{
	struct asked asked;
	struct ten_error err;

	if (!read_ask(ask, &asked))
		return;
	if (declare_undeclared(d, asked.service, asked.id, &err) < 0) {
		log_warn("a request for %s:%s, which is not declared: %s", asked.service, asked.id,
			err.text);
		atomic_store(&ask->state, BOARD_ASK_REFUSED);
	}
	d->hosts_changed = true;
}

static void answer_granted(struct daemon *d, struct board_ask *ask)
{
	autofree char *key = NULL;
	struct asked asked;

	if (!read_ask(ask, &asked) || !names_valid(asked.service) || !names_valid(asked.id))
		return;
	key = mem_printf("%s:%s", asked.service, asked.id);
	if (config_set_instance(d->set, key))
		atomic_store(&ask->state, BOARD_ASK_DONE);
}

void wake_look(struct daemon *d)
{
	for (uint32_t w = 0; w < BOARD_WORKERS_MAX; w++) {
		struct board_worker *worker = &d->board->workers[w];

		if (d->seats[w].state == SEAT_FREE)
			continue;
		for (uint32_t i = 0; i < ROUTE_SLOTS_MAX / 64; i++) {
			if (atomic_load_explicit(&worker->wanted[i], memory_order_relaxed))
				look_at_word(d, i * 64, atomic_exchange(&worker->wanted[i], 0));
		}
		for (uint32_t i = 0; i < BOARD_ASKS_MAX; i++)
			look_at_ask(d, &worker->asks[i]);
	}
}

static void on_bell(struct ev_loop *loop, ev_io *io, int events)
{
	uint64_t count;
	ssize_t ignored = read(io->fd, &count, sizeof(count));

	(void)ignored;
	(void)events;
	wake_look(ev_userdata(loop));
	upgrade_look(ev_userdata(loop));
}

void wake_start(struct daemon *d)
{
	ev_io_init(&reader, on_bell, d->bell, EV_READ);
	ev_io_start(d->loop, &reader);
	/* What was asked while nobody was there. */
	wake_look(d);
}

void wake_ring_workers(struct daemon *d)
{
	uint64_t one = 1;

	for (uint32_t w = 0; w < BOARD_WORKERS_MAX; w++) {
		ssize_t ignored;

		if (d->seats[w].state == SEAT_FREE)
			continue;
		for (uint32_t i = 0; i < BOARD_ASKS_MAX; i++)
			answer_granted(d, &d->board->workers[w].asks[i]);
		ignored = write(d->seats[w].bell, &one, sizeof(one));
		(void)ignored;
	}
}

/* A worker that has yet to look at the table for the first time acknowledges 0. */
uint64_t wake_oldest(const struct daemon *d)
{
	uint64_t oldest = UINT64_MAX;

	for (uint32_t w = 0; w < BOARD_WORKERS_MAX; w++) {
		uint64_t seen = atomic_load(&d->board->workers[w].acknowledged);

		if (d->seats[w].state != SEAT_FREE && seen < oldest)
			oldest = seen;
	}
	return oldest;
}

/* Whoever has yet to look will see the newest: nobody waits for it. */
bool wake_acknowledged(const struct daemon *d, uint64_t generation)
{
	for (uint32_t w = 0; w < BOARD_WORKERS_MAX; w++) {
		uint64_t seen = atomic_load(&d->board->workers[w].acknowledged);

		if (d->seats[w].state != SEAT_FREE && seen && seen < generation)
			return false;
	}
	return true;
}
