/*
 * Who sits where on the board. A proxy worker has a lane (its listening sockets, its socket for
 * handing over) and a seat (its page and cells on the board, its bell). In each lane one worker
 * accepts; those that it replaced keep their seats until they have ended.
 *
 * Which seats are taken is the keeper's to say: it knows who lives.
 */
#ifndef TEN_SEATS_H
#define TEN_SEATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct daemon;

enum seat_state {
	SEAT_FREE,
	SEAT_TRIAL,   /* started by an upgrade, not known to be any good yet */
	SEAT_CURRENT, /* the one of its lane that accepts */
	SEAT_RETIRED, /* replaced, and drains */
};

struct seat {
	enum seat_state state;
	uint32_t lane;
	pid_t pid; /* as the keeper says; 0: not told yet, or between two lives */
	int bell;  /* its eventfd; valid while .has_bell */
	bool has_bell;
	double since; /* in this state */
};

/* What the keeper said of a child. */
struct seat_news {
	const char *name;
	pid_t pid; /* 0: gone for good */
	const char *mode;
	const char *how; /* when gone: "status" or "signal" */
	int64_t status;
};
void seats_note(struct daemon *d, const struct seat_news *news);

/* The keeper has said who is there. Those that ended, or were being cleared away, while there was
 * no daemon have left what they held on the board: take it back. */
void seats_settle(struct daemon *d);

/* "proxy.LANE.SEAT", as the keeper calls the worker; the caller frees. */
char *seat_name(const struct daemon *d, uint32_t seat);

/* A free seat for a worker of LANE, cleared and with a bell. -1: there is none, and ERR says so. */
int seat_take(struct daemon *d, uint32_t lane, enum seat_state state, struct ten_error *err);

/* Of the worker that accepts on LANE; -1: none. */
int seat_current(const struct daemon *d, uint32_t lane);

/* The worker that the keeper runs there has said that it serves. */
bool seat_serves(const struct daemon *d, uint32_t seat);

uint32_t seats_count(const struct daemon *d, enum seat_state state);

#endif
