/*
 * Room to run: max_running counts processes (frozen ones too, and those that are ending),
 * memory_budget_mb their memory, memory_pressure_percent the kernel's word on everybody's.
 *
 * Who is to start and finds no room waits in the start queue. While somebody does, those that have
 * a process are looked at every few milliseconds, and the idle ones that eviction.h says are
 * stopped, or frozen where that is enough. Who waits starts when the end of another is known, or
 * goes to the end of the queue when it has found no memory for long.
 *
 * Memory is read of few processes at a time, in turn, and no more than once a second each. A
 * process that starts is counted with what its tenant used last, or with the average of its
 * service, until it has been ready for a while.
 */
#ifndef TEN_BUDGET_H
#define TEN_BUDGET_H

#include "daemon/instance.h"

/* Whether any of the three is set. */
bool budget_is_set(const struct daemon *d);

/* Whether there is room for INSTANCE, which has no process. */
bool budget_has_room(struct daemon *d, const struct instance *instance);

/* A process came, or is about to be forgotten. */
void budget_enter(struct daemon *d, struct instance *instance);
void budget_leave(struct daemon *d, struct run *run);

/* There is news of who waits or of who may go: it is looked at in this turn. */
void budget_look(struct daemon *d);

/* Once in a turn, when what is marked was looked at: mark those that have to make room, or that
 * have it. */
void budget_turn(struct daemon *d);

/* INSTANCE was asked to make room, and did: it is counted. */
void budget_evicted(struct daemon *d, struct instance *instance);
/* It goes on, or it is over: the wish is forgotten. */
void budget_spare(struct instance *instance);

/* What INSTANCE waits for: "waiting for room: max_running = 2"; NULL: not for room. The caller
 * frees. */
char *budget_waits_for(struct daemon *d, const struct instance *instance);

enum budget_bound { BUDGET_PLACES, BUDGET_MEMORY, BUDGET_PRESSURE, BUDGET_BOUNDS };
extern const char *const budget_bound_names[BUDGET_BOUNDS]; /* of the settings */

struct budget_status {
	uint64_t running, max_running;
	uint64_t memory_bytes, memory_budget_bytes; /* 0: not counted */
	double pressure;                            /* percent; less than 0: not looked at */
	uint64_t waiting;                           /* for room */
	uint64_t evictions[BUDGET_BOUNDS];          /* since the daemon started */
};
void budget_status(struct daemon *d, struct budget_status *status);

#endif
