/*
 * Who is kept ready in some hours (`awake`) and woken at some times (`wake_at`). Tenants with the
 * same rules share one schedule, and all schedules one timer, which is told when the machine's
 * clock is set. What must not happen twice is in schedule_journal.h.
 */
#ifndef TEN_SCHEDULE_H
#define TEN_SCHEDULE_H

#include <jansson.h>

#include "daemon/instance.h"

struct schedule;

/* Before instances are there, and when all that an earlier life left have joined. */
int schedule_start(struct daemon *d, struct ten_error *err);
void schedule_settle(struct daemon *d);

/* INSTANCE->spec is new. */
void schedule_join(struct daemon *d, struct instance *instance);
void schedule_leave(struct instance *instance);

/* The clock or the database of zones was set: all is computed anew. */
void schedule_look(struct daemon *d);

/* Whether it is kept ready now; and whether it would be if SPEC were its. */
bool schedule_keeps(const struct instance *instance);
bool schedule_would_keep(const struct instance *instance, const struct ten_spec *spec);

/* When its hours end or ended, or when it was last to be woken, as daemon_now() has it; 0: never.
 * It counts as use. */
double schedule_used(const struct instance *instance);

/* It is put to rest, and not to be started before the next hours begin or somebody asks for it. */
void schedule_skip(struct daemon *d, struct instance *instance);
/* It is put to rest although it was to be woken. */
void schedule_forgo(struct daemon *d, struct instance *instance);
/* It is started, or goes on. */
void schedule_started(struct daemon *d, struct instance *instance);

/* Whether nobody waits for it: it is the clock alone that wants it up. */
bool schedule_alone_wants(struct daemon *d, const struct instance *instance);
bool schedule_is_cause(const char *cause); /* of a wake */

/* For people: "until Fri 2026-11-20 18:00 CET". NULL: it has no hours. The caller frees. */
char *schedule_hours(const struct instance *instance);
/* All of it; null where there is nothing. */
json_t *schedule_describe(const struct instance *instance);

#endif
