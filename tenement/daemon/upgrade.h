/*
 * `ten upgrade`: our programs are replaced by what now lies on disk, while everybody is served.
 *
 * - check: each of the new programs is run once (preflight.h). What is wrong is said, and nothing
 * has been touched.
 * - start: each lane gets a second worker, with the same listening sockets, on a seat of its own.
 * - switch: when all of them serve, the keeper lets them take the places of the old ones, which
 * hand over what is idle, finish what is in flight and go (proxy/handover.h).
 * - leave: the log writer is run again, and we go. The keeper becomes the one that is on disk now,
 * by exec, and runs the daemon that is.
 *
 * A new worker that does not come up is taken back, and the old ones have never stopped. One that
 * ends before it has its lane leaves that to the old one. A daemon
 * that dies on the way learns from the keeper who is there (upgrade_recover()).
 */
#ifndef TEN_UPGRADE_H
#define TEN_UPGRADE_H

#include "daemon/daemon.h"

struct upgrade_report {
	uint64_t number; /* of upgrades that this daemon has begun; 0: none */
	bool running;
	char *failed;  /* why; NULL: it was done */
	char *version; /* of the new programs */
	struct {
		pid_t old, new;
	} workers[BOARD_LANES_MAX]; /* by lane */
};
const struct upgrade_report *upgrade_report(void);

/* Refused while one is running, while tenement stops, and where there are no seats left. */
int upgrade_begin(struct daemon *d, struct ten_error *err);

/* The same programs with other listening sockets: now, or when what is under way has been done. */
void upgrade_reload(struct daemon *d);

/* A bell rang or the keeper said something: go on if that was what was waited for. */
void upgrade_look(struct daemon *d);
void upgrade_worker_gone(struct daemon *d, uint32_t seat, const struct seat_news *news);

/* What a daemon before us began: finish it where all is there, else take it back. */
void upgrade_recover(struct daemon *d);

/* Tenement stops. */
void upgrade_stop(struct daemon *d);

#endif
