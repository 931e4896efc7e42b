#include "daemon/health.h"

#include <stdlib.h>

#include "daemon/probe.h"
#include "mem.h"

#define FAILURES_UNHEALTHY 3
#define CHECK_SECONDS      5.0

struct health {
	struct daemon *daemon;
	struct instance *instance;
	ev_timer timer;
	struct probe *probe;
	unsigned failures, checks;
};

static void arm(struct health *health)
{
	struct daemon *d = health->daemon;

	ev_timer_set(
		&health->timer, (double)config_set_settings(d->set)->health_check_interval, 0.);
	ev_timer_start(d->loop, &health->timer);
}

static void on_checked(void *data, const char *problem)
{
	struct health *health = data;
	struct instance *instance = health->instance;

	health->probe = NULL;
	health->checks++;
	health->failures = problem ? health->failures + 1 : 0;
	if (problem)
		instance_set_reason(
			instance, mem_printf("health check %u of %d failed: %s", health->failures,
					  FAILURES_UNHEALTHY, problem));
	else
		instance_set_reason(instance, NULL);
	arm(health);
	if (health->failures >= FAILURES_UNHEALTHY) {
		instance->unhealthy = true;
		instance_mark(health->daemon, instance);
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct health *health = timer->data;
	const struct ten_spec *spec = health->instance->spec;

	(void)loop;
	(void)events;
	if (!spec || !spec->values.health || health->instance->state != INSTANCE_READY) {
		health->failures = 0;
		health->checks = 0;
		arm(health);
		return;
	}
	health->probe = probe_start(health->daemon, health->instance->run, spec->values.health,
		CHECK_SECONDS, on_checked, health);
}

void health_start(struct daemon *d, struct instance *instance)
{
	struct health *health = mem_alloc(sizeof(*health));

	health->daemon = d;
	health->instance = instance;
	ev_timer_init(&health->timer, on_timer, 0., 0.);
	health->timer.data = health;
	instance->run->health = health;
	arm(health);
}

void health_pause(struct daemon *d, struct run *run)
{
	struct health *health = run->health;

	if (!health)
		return;
	ev_timer_stop(d->loop, &health->timer);
	probe_cancel(d, health->probe);
	health->probe = NULL;
}

void health_resume(struct daemon *d, struct run *run)
{
	struct health *health = run->health;

	(void)d;
	if (health && !health->probe && !ev_is_active(&health->timer))
		arm(health);
}

void health_stop(struct daemon *d, struct run *run)
{
	struct health *health = run->health;

	if (!health)
		return;
	run->health = NULL;
	ev_timer_stop(d->loop, &health->timer);
	probe_cancel(d, health->probe);
	free(health);
}

const char *health_name(const struct run *run)
{
	const struct health *health = run ? run->health : NULL;

	if (!health || !health->checks)
		return "unknown";
	if (health->failures >= FAILURES_UNHEALTHY)
		return "unhealthy";
	return health->failures ? "degraded" : "healthy";
}
