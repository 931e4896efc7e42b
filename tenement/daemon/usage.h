/*
 * What tenants use: read from their control groups and from the board, shown as it is, and handed
 * to usage_store.h to be kept per hour.
 *
 * Who runs is gone through every quarter of a minute, a few with each turn of the loop; a process's
 * counters are read a last time when it has ended, before its group is removed. A tenant that
 * sleeps, and of whom nothing has moved since the last look, is not looked at.
 */
#ifndef TEN_DAEMON_USAGE_H
#define TEN_DAEMON_USAGE_H

#include <jansson.h>

#include "daemon/cgroup_usage.h"
#include "daemon/daemon.h"

void usage_start(struct daemon *d); /* the board is there */
void usage_stop(struct daemon *d);  /* store what there is */
void usage_settings_changed(struct daemon *d);

/* Of processes: from when they are known, and before what is left of them is removed. */
void usage_run_begins(struct daemon *d, struct run *run);
void usage_run_ends(struct daemon *d, struct run *run);

/* INSTANCE's slot is given back now; INSTANCE itself goes. */
void usage_slot_ends(struct daemon *d, struct instance *instance);
void usage_forget(struct instance *instance);

/* Go through all that run, from now on. Returns what to ask usage_is_read() with; then all has been
 * read that was used when this was called and, with STORE, handed on. */
enum usage_purpose { USAGE_TO_SHOW, USAGE_TO_STORE };
uint64_t usage_read(struct daemon *d, enum usage_purpose purpose);
bool usage_is_read(uint64_t which);

/* As of the last look. False: it has no process, or was not looked at. */
bool usage_now(const struct instance *instance, struct cgroup_usage *now);

/* Microseconds of processor that INSTANCE took since the daemon began; CGROUP_UNKNOWN: not known */
uint64_t usage_cpu_usec(const struct instance *instance);

/* Which board this is, for who has seen another. */
uint64_t usage_board(const struct daemon *d);

#endif
