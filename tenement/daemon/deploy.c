#include "daemon/deploy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/confdir.h"
#include "daemon/control.h"
#include "daemon/declare.h"
#include "daemon/describe.h"
#include "daemon/endpoints.h"
#include "daemon/events.h"
#include "daemon/log_tail.h"
#include "daemon/probe.h"
#include "daemon/reconcile.h"
#include "daemon/sharing.h"
#include "mem.h"

#define TIMEOUT_MAX        86400
#define WEIGHT_DEFAULT     100
#define CHECK_SECONDS      0.25
#define UNDO_SECONDS       5.0 /* less than clients wait beyond the timeout */
#define SEEN_SECONDS       30.0
#define FAILURE_LINES      10
#define FAILURE_LINES_MOST 16384
#define STORED_SECONDS     0.3 /* until what it wrote last can be read */
#define READ_SECONDS       2.0

enum phase {
	STARTING,
	CHECKING, /* its health path, until it answers well */
	UNDOING,
	READING, /* its last lines */
	OVER,
};

struct deploy {
	struct daemon *daemon;
	char *service, *id, *key, *by;
	uint32_t weight;
	enum sharing_way way;
	int64_t timeout;
	char *file; /* that was written for it; NULL: it was declared before */
	enum phase phase;
	ev_timer timer; /* how long it may take */
	bool time_is_up;
	struct probe *probe;
	ev_timer again;
	bool answered_well;
	char *problem; /* of the last check */
	/* what came of it */
	int status; /* 0: it goes on */
	char *why;
	struct log_tail *tail;
	json_t *log;
	uint64_t generation; /* see sharing_is_seen() */
	bool watched;        /* by who asked for it */
	struct deploy *next;
};

static struct deploy *deploys;

static void deploy_free(struct deploy *deploy)
{
	struct deploy **link = &deploys;

	while (*link != deploy)
		link = &(*link)->next;
	*link = deploy->next;
	ev_timer_stop(deploy->daemon->loop, &deploy->timer);
	ev_timer_stop(deploy->daemon->loop, &deploy->again);
	probe_cancel(deploy->daemon, deploy->probe);
	if (deploy->tail)
		log_tail_free(deploy->tail);
	json_decref(deploy->log);
	free(deploy->service);
	free(deploy->id);
	free(deploy->key);
	free(deploy->by);
	free(deploy->file);
	free(deploy->problem);
	free(deploy->why);
	free(deploy);
}

/* ---- its end ---- */

static void set_timer(struct deploy *deploy, double seconds)
{
	struct ev_loop *loop = deploy->daemon->loop;

	deploy->time_is_up = false;
	ev_now_update(loop);
	ev_timer_stop(loop, &deploy->timer);
	ev_timer_set(&deploy->timer, seconds, 0.);
	ev_timer_start(loop, &deploy->timer);
}

static void stop_checking(struct deploy *deploy)
{
	ev_timer_stop(deploy->daemon->loop, &deploy->again);
	probe_cancel(deploy->daemon, mem_steal(&deploy->probe));
	deploy->answered_well = false;
}

/* It did not get there, WHY says (taken). What was declared for it goes again. */
static void fail(struct deploy *deploy, int status, char *why)
{
	struct daemon *d = deploy->daemon;
	autofree char *file = NULL;
	struct ten_error err = { 0 };

	stop_checking(deploy);
	deploy->status = status;
	deploy->why = why;
	deploy->phase = UNDOING;
	set_timer(deploy, UNDO_SECONDS);
	log_warn("deploy of %s: %s", deploy->key, why);
	events_note(d, EVENT_DEPLOY, deploy->key, "failed: %s", why);
	if (!deploy->file || !config_set_instance(d->set, deploy->key))
		return;
	if (declare_remove(d, deploy->key, deploy->by, &file, &err) < 0) {
		deploy->why = mem_printf("%s; and %s stays declared, without traffic: %s", why,
			deploy->key, err.text);
		free(why);
	}
}

/* What it was declared for is gone, and what it said is there. */
static void undo(struct deploy *deploy)
{
	struct daemon *d = deploy->daemon;
	const struct instance *instance = instance_find(d, deploy->key);
	bool there = deploy->file && instance && (instance->run || instance->in_dirty) &&
		     !config_set_instance(d->set, deploy->key);

	if (there && !deploy->time_is_up)
		return;
	deploy->phase = READING;
	set_timer(deploy, STORED_SECONDS);
}

static void read_lines(struct deploy *deploy)
{
	if (!deploy->tail) {
		if (!deploy->time_is_up)
			return;
		deploy->tail = log_tail_ask(deploy->daemon, deploy->key, FAILURE_LINES);
		set_timer(deploy, READ_SECONDS);
	}
	if (!log_tail_is_there(deploy->tail) && !deploy->time_is_up)
		return;
	deploy->log = log_tail_lines(deploy->tail, FAILURE_LINES_MOST);
	deploy->phase = OVER;
}

static void succeed(struct deploy *deploy)
{
	deploy->status = 200;
	deploy->phase = OVER;
	ev_timer_stop(deploy->daemon->loop, &deploy->timer);
	log_info("deploy of %s: it is healthy, and its weight is %u", deploy->key, deploy->weight);
	events_note(deploy->daemon, EVENT_DEPLOY, deploy->key,
		"it is healthy, and its weight is %u", deploy->weight);
}

/* It is healthy: its share of the traffic. */
static void weigh(struct deploy *deploy, struct instance *instance)
{
	struct daemon *d = deploy->daemon;
	struct publish_split *split;
	const char *source;
	struct ten_error err = { 0 };
	size_t count;
	int rc;

	stop_checking(deploy);
	count = publish_split_of(d, deploy->service, &split, &source);
	publish_split_free(split, count);
	if (!source && !deploy->weight) {
		succeed(deploy);
		return;
	}
	/* What was declared with 0 for this gets its weight in the same place. */
	rc = -1;
	if (deploy->file && source && deploy->way == SHARING_OVERRIDE &&
		(strcmp(source, "balance") == 0 || strcmp(source, "routing") == 0))
		rc = declare_weight(d, deploy->key, deploy->weight, deploy->by, &err);
	if (rc < 0)
		rc = sharing_set_weight(d, instance, deploy->weight, deploy->way, deploy->by, &err);
	if (rc < 0)
		fail(deploy, err.code == EEXIST ? 409 : 422, mem_strdup(err.text));
	else
		succeed(deploy);
}

/* ---- its way there ---- */

static void check(struct deploy *deploy);

static void on_checked(void *data, const char *problem)
{
	struct deploy *deploy = data;
	struct ev_loop *loop = deploy->daemon->loop;

	deploy->probe = NULL;
	free(deploy->problem);
	deploy->problem = mem_strdup(problem);
	deploy->answered_well = !problem;
	if (!problem)
		return;
	ev_timer_stop(loop, &deploy->again);
	ev_timer_set(&deploy->again, CHECK_SECONDS, 0.);
	ev_timer_start(loop, &deploy->again);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct deploy *deploy = timer->data;

	(void)loop;
	(void)events;
	if (deploy->phase == CHECKING && !deploy->probe)
		check(deploy);
}

static void check(struct deploy *deploy)
{
	const struct instance *instance = instance_find(deploy->daemon, deploy->key);
	const struct service_values *values;

	/* (what changed meanwhile is seen in the next turn) */
	if (!instance || instance->state != INSTANCE_READY)
		return;
	values = &instance->run->spec->values;
	deploy->probe = probe_start(deploy->daemon, instance->run, values->health,
		(double)values->health_timeout, on_checked, deploy);
	if (!deploy->probe) {
		ev_timer_set(&deploy->again, CHECK_SECONDS, 0.);
		ev_timer_start(deploy->daemon->loop, &deploy->again);
	}
}

/* Whether nothing more will be done to bring it up. */
static bool is_given_up(const struct instance *instance)
{
	if (instance->state == INSTANCE_FAILED)
		return !instance->told_to_restart && !instance->in_dirty;
	return !instance->in_dirty && !instance->wanted_awake && !instance->told_to_restart &&
	       (instance->state == INSTANCE_ASLEEP || instance->state == INSTANCE_STOPPED ||
		       instance->state == INSTANCE_SUSPENDED);
}

static void fail_for_time(struct deploy *deploy, const struct instance *instance)
{
	const char *reason = deploy->problem    ? deploy->problem
			     : instance->reason ? instance->reason
						: instance_state_names[instance->state];

	fail(deploy, 504,
		mem_printf("%s was not healthy within %lld s: %s", deploy->key,
			(long long)deploy->timeout, reason));
}

static void step(struct deploy *deploy)
{
	struct daemon *d = deploy->daemon;
	struct instance *instance = instance_find(d, deploy->key);
	const struct service_values *values;

	if (!config_set_instance(d->set, deploy->key)) {
		fail(deploy, 409, mem_printf("%s is no longer declared", deploy->key));
		return;
	}
	/* Paused, what is new is not looked at. */
	if (!instance || !instance->spec) {
		if (deploy->time_is_up)
			fail(deploy, 504,
				mem_printf("%s was not taken up within %lld s", deploy->key,
					(long long)deploy->timeout));
		return;
	}
	if (instance->state != INSTANCE_READY) {
		stop_checking(deploy);
		deploy->phase = STARTING;
		if (is_given_up(instance))
			fail(deploy, 422,
				mem_printf("%s is %s: %s", deploy->key,
					instance_state_names[instance->state],
					instance->reason ? instance->reason : "nothing starts it"));
		else if (deploy->time_is_up)
			fail_for_time(deploy, instance);
		return;
	}
	/* What is written now would not be acted on. */
	if (d->paused) {
		stop_checking(deploy);
		deploy->phase = STARTING;
		if (deploy->time_is_up)
			fail(deploy, 422, mem_strdup("tenement is paused"));
		return;
	}
	values = &instance->run->spec->values;
	if (deploy->answered_well || !values->health || !*values->health ||
		values->ready == READY_HEALTH) {
		weigh(deploy, instance);
	} else if (deploy->time_is_up) {
		fail_for_time(deploy, instance);
	} else if (deploy->phase == STARTING) {
		deploy->phase = CHECKING;
		check(deploy);
	}
}

void deploy_turn(struct daemon *d)
{
	struct deploy *deploy, *next;

	if (d->shutting_down)
		return;
	for (deploy = deploys; deploy; deploy = next) {
		next = deploy->next;
		if (deploy->phase == STARTING || deploy->phase == CHECKING)
			step(deploy);
		if (deploy->phase == UNDOING)
			undo(deploy);
		if (deploy->phase == READING)
			read_lines(deploy);
		if (deploy->phase == OVER && !deploy->watched)
			deploy_free(deploy);
	}
}

/* ---- POST /api/deploy ---- */

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct deploy *deploy = timer->data;

	(void)loop;
	(void)events;
	deploy->time_is_up = true;
}

static json_t *answer(struct daemon *d, struct deploy *deploy)
{
	struct instance *instance = instance_find(d, deploy->key);
	json_t *json = instance ? describe_instance(d, instance) : json_object();

	json_object_set_new(json, "instance", json_string(deploy->key));
	if (!json_is_string(json_object_get(json, "socket")))
		json_object_set_new(json, "socket", json_string(""));
	json_object_set_new(json, "status", json_string("healthy"));
	json_object_set_new(json, "weight", json_integer(deploy->weight));
	json_object_set_new(json, "split", sharing_json(d, deploy->service));
	json_object_set_new(json, "file", deploy->file ? json_string(deploy->file) : json_null());
	json_object_set_new(json, "generation", json_integer((json_int_t)deploy->generation));
	return json;
}

static json_t *refusal(const struct deploy *deploy)
{
	return json_pack("{s:s, s:{s:s}, s:O}", "error", deploy->why, "where", "instance",
		deploy->key, "log", deploy->log);
}

static json_t *deploy_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct deploy *deploy = data;

	if (deploy->phase != OVER && !time_is_up)
		return NULL;
	if (deploy->phase != OVER) {
		*status = 504;
		return json_pack("{s:s}", "error", "the deploy goes on: see `ten events`");
	}
	*status = deploy->status;
	if (deploy->status != 200)
		return refusal(deploy);
	if (sharing_is_seen(d, &deploy->generation))
		return answer(d, deploy);
	if (!time_is_up)
		return NULL;
	*status = 503;
	return json_pack("{s:s}", "error",
		"its weight is published, but not every proxy worker has acknowledged it in time");
}

/* Who asked has been answered, or has gone: it goes on without. */
static void deploy_release(void *data)
{
	struct deploy *deploy = data;

	deploy->watched = false;
	if (deploy->phase == OVER || deploy->daemon->shutting_down || deploy->daemon->leaving)
		deploy_free(deploy);
}

static bool is_under_way(const char *key)
{
	for (const struct deploy *deploy = deploys; deploy; deploy = deploy->next)
		if (strcmp(deploy->key, key) == 0 && deploy->phase != OVER)
			return true;
	return false;
}

static void begin(struct control_call *call, struct deploy *deploy)
{
	struct daemon *d = call->d;

	deploy->daemon = d;
	deploy->by = mem_printf("deploy (%s)", call->by);
	deploy->watched = true;
	deploy->next = deploys;
	deploys = deploy;
	ev_timer_init(&deploy->timer, on_timer, 0., 0.);
	ev_timer_init(&deploy->again, on_again, 0., 0.);
	deploy->timer.data = deploy->again.data = deploy;
	set_timer(deploy, (double)deploy->timeout);
	events_note(d, EVENT_DEPLOY, deploy->key, "begins, by %s", call->by);
	control_wait(call, (double)deploy->timeout + UNDO_SECONDS + SEEN_SECONDS, deploy_look,
		deploy, deploy_release);
}

/* Have it started. False: it is down by an operator's word, which is said. */
static bool start(struct control_call *call, const char *key)
{
	struct instance *instance;

	reconcile_mark_instance(call->d, key);
	instance = instance_find(call->d, key);
	if (instance->spec && (instance->wanted_state == TENANT_STOPPED ||
				      instance->wanted_state == TENANT_SUSPENDED)) {
		control_refuse_where(call, 422, json_pack("{s:s}", "instance", key),
			"%s is %s: `ten start` or `ten resume` it", key,
			tenant_state_names[instance->wanted_state]);
		return false;
	}
	if (instance->state == INSTANCE_FAILED)
		instance->told_to_restart = true;
	else if (instance->state == INSTANCE_BACKOFF)
		instance->time_is_up = true;
	else if (instance->state != INSTANCE_READY)
		instance_wake(call->d, instance, "ten deploy");
	instance_mark(call->d, instance);
	return true;
}

/* A whole number of the body, from MIN to MAX. False: it is another, and that is said. */
static bool take_number(struct control_call *call, const char *name, json_int_t min, json_int_t max,
	int64_t *number)
{
	const json_t *value = json_object_get(call->body, name);

	if (!value)
		return true;
	*number = json_integer_value(value);
	if (json_is_integer(value) && *number >= min && *number <= max)
		return true;
	control_refuse_where(call, 422, json_pack("{s:s}", "parameter", name),
		"%s is a whole number from %lld to %lld", name, (long long)min, (long long)max);
	return false;
}

/* Whether there is a share of traffic to be given; else that is said. */
static bool is_shared(struct control_call *call, const char *service, int64_t weight)
{
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(call->d, service, &split, &source);

	publish_split_free(split, count);
	if (source || !weight)
		return true;
	control_refuse(call, 422,
		"no traffic is shared out for %s: declare [route.%s], set balance = true, or "
		"deploy with weight 0",
		service, service);
	return false;
}

void control_deploy(struct control_call *call)
{
	const char *service = control_string(call, "process");
	const char *id = control_string(call, "version");
	int64_t weight = WEIGHT_DEFAULT, timeout = 30;
	autofree char *key = NULL;
	autofree char *file = NULL;
	autofree char *by = mem_printf("deploy (%s)", call->by);
	struct ten_error err = { 0 };
	struct deploy *deploy;

	if (!service || !id) {
		control_refuse(call, 422, "\"process\" and \"version\" say what to deploy");
		return;
	}
	if (!take_number(call, "weight", 0, SHARING_WEIGHT_MAX, &weight) ||
		!take_number(call, "timeout", 1, TIMEOUT_MAX, &timeout))
		return;
	if (!config_set_service(call->d->set, service)) {
		control_refuse(call, 404, "no file declares a service \"%s\"", service);
		return;
	}
	if (!is_shared(call, service, weight))
		return;
	key = mem_printf("%s:%s", service, id);
	if (is_under_way(key)) {
		control_refuse(call, 409, "%s is being deployed already", key);
		return;
	}
	if (!config_set_instance(call->d->set, key) &&
		declare_tenant_weighing(call->d, service, id, 0, by, &file, &err) < 0) {
		control_refuse(call, err.code == EEXIST ? 409 : 422, "%s", err.text);
		return;
	}
	if (!start(call, key))
		return;
	deploy = mem_alloc(sizeof(*deploy));
	deploy->service = mem_strdup(service);
	deploy->id = mem_strdup(id);
	deploy->key = mem_steal(&key);
	deploy->file = mem_steal(&file);
	deploy->weight = (uint32_t)weight;
	deploy->timeout = timeout;
	deploy->way = control_flag(call, "declare") ? SHARING_DECLARE : SHARING_OVERRIDE;
	begin(call, deploy);
}
