/*
 * The memory of a tenant's failures: how many there were lately, when the next try is, and whether
 * it is given one at all. Kept in a file of the runtime folder, so that it outlives the daemon; a
 * new keeper, and so a new boot of the machine, begins with a clean slate.
 *
 * One that failed max_restarts times within restart_window is FAILED. After failed_cooldown it is
 * given one try, on trial: if that fails it is FAILED again at once, and when it was ready for
 * restart_window without failing the counts begin anew.
 */
#ifndef TEN_FAILURES_H
#define TEN_FAILURES_H

#include <jansson.h>

#include "daemon/instance.h"

/* It failed now. */
void failures_note(struct instance *instance);

/* Of what is asked for, all that a change of is reason to try again what failed: what restarts it,
 * which is given, and what does not (a limit that was too small). */
uint64_t failures_hash(const struct ten_spec *spec, uint64_t restart_hash);
void failures_blame(struct daemon *d, struct instance *instance, uint64_t restart_hash);
/* What is older than restart_window counts no more. */
void failures_forget_old(struct daemon *d, struct instance *instance);
/* The slate is clean: somebody asked for it anew, or it changed. */
void failures_forget(struct instance *instance);
/* Whether one more is one too many. */
bool failures_used_up(const struct daemon *d, const struct instance *instance);

/* Seconds until the next try. */
double failures_backoff(struct daemon *d, const struct instance *instance);

/* It leaves FAILED for one try; and it got ready. */
void failures_trial_begins(struct instance *instance);
void failures_got_ready(struct daemon *d, struct instance *instance);

/* When the cool-down of one that FAILED is over, CLOCK_MONOTONIC; 0: never. */
uint64_t failures_retry_at_ms(const struct instance *instance);
bool failures_cooled_down(const struct instance *instance);
/* Have it looked at when it is. */
void failures_arm(struct daemon *d, struct instance *instance);

/* "next_try": null, or when and by whom it is tried again. */
json_t *failures_next_try(const struct instance *instance);

/* The file. What cannot be written is said in the log, and forgotten with the daemon. */
void failures_write(struct daemon *d, const struct instance *instance);
void failures_remove(struct daemon *d, const char *key);
/* For a new daemon, when it knows which processes there are. */
void failures_load_all(struct daemon *d);
/* All of it goes with the runtime folder. */
void failures_end(struct daemon *d);
/* Back to the state of FAILED or BACKOFF that was loaded. False: it was in neither. */
bool failures_resume(struct daemon *d, struct instance *instance);

#endif
