#include "daemon/health.h"

#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "daemon/events.h"
#include "daemon/probe.h"
#include "daemon/rollout.h"
#include "mem.h"

#define CHECKS_MOST  256 /* at a time, of all tenants: each has a descriptor */
#define LATER_SHARE  0.1 /* of the interval, when there were so many */
#define JITTER_SHARE 0.1

struct health {
	struct daemon *daemon;
	struct instance *instance;
	ev_timer timer;
	struct probe *probe;
	unsigned failures, checks;
	uint64_t turn;
	double since; /* when its grace began */
	char *problem;
};

static unsigned checks_now;

static const struct service_values *values_of(const struct health *health)
{
	/* (what runs by the template before need not know the path of the new one) */
	const struct ten_spec *spec = rollout_spec(health->daemon, health->instance);

	return &(spec ? spec : health->instance->run->spec)->values;
}

/* After SHARES intervals, or up to SPREAD of one more. Who was started, or stalled, together with
 * thousands is not to be asked together with them. */
static void arm(struct health *health, double shares, double spread)
{
	struct daemon *d = health->daemon;
	int64_t own = values_of(health)->health_interval;
	int64_t interval = own ? own : config_set_settings(d->set)->health_check_interval;
	double share = backoff_share(health->instance->key, health->turn++);

	ev_now_update(d->loop);
	ev_timer_set(&health->timer, (double)interval * (shares + spread * share), 0.);
	ev_timer_start(d->loop, &health->timer);
}

static void arm_first(struct health *health)
{
	arm(health, 0.5, 1);
}

static void arm_next(struct health *health)
{
	arm(health, 1 - JITTER_SHARE, 2 * JITTER_SHARE);
}

static void forget(struct health *health)
{
	if (health->failures)
		instance_set_reason(health->instance, NULL);
	free(mem_steal(&health->problem));
	health->failures = health->checks = 0;
}

static void failed(struct health *health, const char *problem)
{
	const struct service_values *values = values_of(health);
	struct instance *instance = health->instance;

	instance->checks_left = true;
	free(health->problem);
	health->problem = mem_printf("GET %s: %s", values->health, problem);
	if (daemon_now() < health->since + (double)values->health_grace)
		return;
	health->failures++;
	health->checks++;
	instance_set_reason(
		instance, mem_printf("health check %u of %lld failed: %s", health->failures,
				  (long long)values->health_failures, health->problem));
	instance->unhealthy = health->failures >= values->health_failures;
}

/* That it is well after a start is no news. */
static void note_change(struct health *health, const char *was)
{
	const struct instance *instance = health->instance;
	const char *now = health_name(instance->run);
	bool well = strcmp(now, "healthy") == 0;

	if (strcmp(was, now) != 0 && !(well && strcmp(was, "unknown") == 0))
		events_note(health->daemon, EVENT_HEALTH, instance->key, "%s -> %s%s%s", was, now,
			health->problem ? ": " : "", health->problem ? health->problem : "");
}

static void on_checked(void *data, const char *problem)
{
	struct health *health = data;
	struct instance *instance = health->instance;
	const char *was = health_name(instance->run);

	health->probe = NULL;
	checks_now--;
	if (problem) {
		failed(health, problem);
	} else {
		forget(health);
		health->checks = 1;
		instance->checks_left = false; /* those before it were taken, too */
	}
	note_change(health, was);
	if (instance->unhealthy)
		instance_mark(health->daemon, instance);
	else
		arm_next(health);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct health *health = timer->data;
	struct instance *instance = health->instance;
	const struct service_values *values = values_of(health);

	(void)loop;
	(void)events;
	/* One that has yet to take its first request from its socket is still starting. */
	if (instance->run->boot)
		health->since = daemon_now();
	if (!values->health || !*values->health || instance->state != INSTANCE_READY ||
		instance->run->boot) {
		forget(health);
		arm_next(health);
		return;
	}
	if (checks_now < CHECKS_MOST)
		health->probe = probe_start(health->daemon, instance->run, values->health,
			(double)values->health_timeout, on_checked, health);
	if (health->probe)
		checks_now++;
	else
		arm(health, LATER_SHARE / 2, LATER_SHARE);
}

void health_start(struct daemon *d, struct instance *instance)
{
	struct health *health = mem_alloc(sizeof(*health));

	health->daemon = d;
	health->instance = instance;
	health->since = instance->run->ready_since;
	/* Not the same in its next life. */
	health->turn = (uint64_t)instance->run->pid << 32;
	ev_timer_init(&health->timer, on_timer, 0., 0.);
	health->timer.data = health;
	instance->run->health = health;
	arm_first(health);
}

static void cancel(struct daemon *d, struct health *health)
{
	ev_timer_stop(d->loop, &health->timer);
	if (health->probe) {
		health->instance->checks_left = true;
		checks_now--;
	}
	probe_cancel(d, mem_steal(&health->probe));
}

void health_pause(struct daemon *d, struct run *run)
{
	if (run->health)
		cancel(d, run->health);
}

void health_resume(struct daemon *d, struct run *run)
{
	struct health *health = run->health;

	(void)d;
	if (health && !health->probe && !ev_is_active(&health->timer))
		arm_first(health);
}

void health_stop(struct daemon *d, struct run *run)
{
	struct health *health = run->health;

	if (!health)
		return;
	run->health = NULL;
	cancel(d, health);
	free(health->problem);
	free(health);
}

const char *health_name(const struct run *run)
{
	const struct health *health = run ? run->health : NULL;

	if (!health || !health->checks)
		return "unknown";
	if (health->failures >= values_of(health)->health_failures)
		return "unhealthy";
	return health->failures ? "degraded" : "healthy";
}

const char *health_problem(const struct run *run)
{
	return run && run->health ? run->health->problem : NULL;
}
