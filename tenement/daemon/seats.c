#include "daemon/seats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/daemon.h"
#include "daemon/upgrade.h"
#include "daemon/workers.h"
#include "mem.h"

char *seat_name(const struct daemon *d, uint32_t seat)
{
	return mem_printf("proxy.%u.%u", d->seats[seat].lane, seat);
}

static void set_state(struct seat *seat, enum seat_state state)
{
	if (seat->state == state)
		return;
	seat->state = state;
	seat->since = daemon_now();
}

static enum seat_state state_of(const char *mode)
{
	if (strcmp(mode, "trial") == 0)
		return SEAT_TRIAL;
	return strcmp(mode, "kept") == 0 ? SEAT_CURRENT : SEAT_RETIRED;
}

/* Whoever sat there is gone, and what they held. */
static void leave(struct daemon *d, uint32_t number)
{
	struct ten_error err;

	/* In this order no sum goes backwards. */
	if (board_worker_clear(d->board, d->board_fd, number, &err) < 0)
		log_error("%s", err.text);
	board_worker_leave(d->board, number);
	set_state(&d->seats[number], SEAT_FREE);
	d->seats[number].pid = 0;
	/* What waited for it to be drained may go on, and what it held back be used again. */
	d->hosts_changed = true;
}

void seats_settle(struct daemon *d)
{
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++)
		if (d->seats[i].state == SEAT_FREE && board_worker_is_live(d->board, i))
			leave(d, i);
}

void seats_note(struct daemon *d, const struct seat_news *news)
{
	struct ten_error err;
	unsigned lane, number;
	struct seat *seat;
	char end;

	if (sscanf(news->name, "proxy.%u.%u%c", &lane, &number, &end) != 2 ||
		lane >= BOARD_LANES_MAX || number >= BOARD_WORKERS_MAX)
		return;
	seat = &d->seats[number];
	if (news->pid == 0) {
		if (seat->state == SEAT_FREE || seat->lane != lane)
			return;
		leave(d, number);
		upgrade_worker_gone(d, number, news);
		return;
	}
	if (workers_share_bell(d, number, &err) < 0)
		log_error("%s", err.text);
	seat->lane = lane;
	seat->pid = news->pid;
	set_state(seat, state_of(news->mode));
	upgrade_look(d);
}

int seat_take(struct daemon *d, uint32_t lane, enum seat_state state, struct ten_error *err)
{
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		struct seat *seat = &d->seats[i];

		if (seat->state != SEAT_FREE)
			continue;
		if (board_worker_clear(d->board, d->board_fd, i, err) < 0 ||
			workers_share_bell(d, i, err) < 0)
			return -1;
		seat->lane = lane;
		seat->pid = 0;
		set_state(seat, state);
		return (int)i;
	}
	return ten_error_set(err, 0,
		"all %d places for workers are taken, %u of them by workers that still drain",
		BOARD_WORKERS_MAX, seats_count(d, SEAT_RETIRED));
}

int seat_current(const struct daemon *d, uint32_t lane)
{
	for (int i = 0; i < BOARD_WORKERS_MAX; i++)
		if (d->seats[i].state == SEAT_CURRENT && d->seats[i].lane == lane)
			return i;
	return -1;
}

bool seat_serves(const struct daemon *d, uint32_t seat)
{
	return d->seats[seat].pid > 0 &&
	       atomic_load(&d->board->workers[seat].pid) == (uint32_t)d->seats[seat].pid;
}

uint32_t seats_count(const struct daemon *d, enum seat_state state)
{
	uint32_t count = 0;

	for (int i = 0; i < BOARD_WORKERS_MAX; i++)
		count += d->seats[i].state == state;
	return count;
}
