#include "daemon/oom.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_limits.h"
#include "common/log.h"
#include "daemon/counters.h"
#include "daemon/cgroup_usage.h"
#include "daemon/record.h"
#include "mem.h"

#define LOOK_SECONDS   1.0
#define LOOK_AT_ONCE   64
#define RECENT_SECONDS 10.0            /* that an exit is laid to it */
#define OOM            "oom"           /* begins the line in its record */
#define STATUS_KILLED  (128 + SIGKILL) /* as a shell or an init tells it of its child */

static ev_timer timer;
static struct run *next_looked_at; /* only compared, never followed */

/* "limit 256 MiB", or whose memory was short. */
static char *which_limit(const struct run *run)
{
	struct cgroup_usage usage;

	if (!run->limits || run->limits->memory_bytes == CGROUP_NO_LIMIT)
		return mem_strdup("the machine's, it has no limit of its own");
	/* Whoever is killed below its limit was in the way of others. */
	if (cgroup_usage(run->cgroup, &usage) == 0 && usage.memory_peak_bytes != CGROUP_UNKNOWN &&
		usage.memory_peak_bytes < cgroup_limits_high(run->limits->memory_bytes))
		return mem_strdup("the machine's, it was below its limit");
	return mem_printf("limit %" PRIu64 " MiB", run->limits->memory_bytes >> 20);
}

void oom_look(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	uint64_t kills = run && run->cgroup ? cgroup_oom_kills(run->cgroup) : CGROUP_UNKNOWN;
	autofree char *limit = NULL;

	(void)d;
	if (kills == CGROUP_UNKNOWN || kills <= run->oom_kills)
		return;
	limit = which_limit(run);
	log_warn("%s: out of memory (%s): the kernel killed %" PRIu64 " of its processes", run->key,
		limit, kills - run->oom_kills);
	instance->oom_kills += kills - run->oom_kills;
	counters_add(instance, COUNTER_OOM_KILLS, kills - run->oom_kills);
	run->oom_kills = kills;
	record_write_later(instance);
	run->oom_at = daemon_now();
	free(run->oom_limit);
	run->oom_limit = mem_steal(&limit);
}

void oom_recall(struct run *run, const char *text)
{
	const char *line = record_line(text, OOM);

	/* (of programs before, who ended meanwhile is still to be told of) */
	run->oom_kills = line ? strtoull(line, NULL, 10) : 0;
	run->oom_known = line != NULL;
}

char *oom_record(const struct run *run)
{
	return mem_printf(OOM " %" PRIu64, run->oom_kills);
}

void oom_adopted(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	uint64_t kills = run->cgroup ? cgroup_oom_kills(run->cgroup) : CGROUP_UNKNOWN;

	if (run->oom_known)
		oom_look(d, instance);
	else if (run->exit == PLAN_EXIT_NONE && kills != CGROUP_UNKNOWN)
		run->oom_kills = kills;
}

char *oom_reason(const struct run *run, const char *how)
{
	bool killed = run->exited_normally ? run->exit_status == STATUS_KILLED
					   : run->exit_status == SIGKILL;

	if (!run->oom_at || run->killed || run->exit == PLAN_EXIT_CLEAN ||
		daemon_now() - run->oom_at > RECENT_SECONDS)
		return mem_strdup(how);
	if (killed || run->exit_status < 0)
		return mem_printf("out of memory (%s)", run->oom_limit);
	return mem_printf("%s, after one of its processes was killed: out of memory (%s)", how,
		run->oom_limit);
}

/* Some at a time: of very many a look at all would be long. */
static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct run *run, *next;
	size_t left = LOOK_AT_ONCE;
	bool reached = false;

	(void)events;
	HASH_ITER (by_pid, d->runs, run, next) {
		struct instance *instance;

		reached = reached || !next_looked_at || run == next_looked_at;
		if (!reached)
			continue;
		if (!left--) {
			next_looked_at = run;
			return;
		}
		instance = instance_find(d, run->key);
		if (instance && instance->run == run)
			oom_look(d, instance);
	}
	next_looked_at = NULL;
	if (!d->runs)
		ev_timer_stop(loop, watcher);
}

void oom_run_begins(struct daemon *d)
{
	if (ev_is_active(&timer))
		return;
	ev_timer_init(&timer, on_timer, LOOK_SECONDS, LOOK_SECONDS);
	ev_timer_start(d->loop, &timer);
}
