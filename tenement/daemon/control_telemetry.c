/* GET /api/telemetry: what the tenants do, in all and each that runs; counters go up. */
#include <stdlib.h>
#include <string.h>

#include "board_answers.h"
#include "daemon/cgroup_usage.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/health.h"
#include "daemon/instance.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "mem.h"
#include "storage_rules.h"

#define ANSWER_SECONDS 30

/* What is told of one tenant, or of a sum of them. */
struct figures {
	struct board_answered answered;
	uint64_t requests, in_flight, bytes_in, bytes_out, wakes, restarts;
	uint64_t memory_bytes, cpu_usec, stored_bytes; /* CGROUP_UNKNOWN: not known */
};

struct question {
	struct principal who;
	uint64_t read;
};

static void put_known(json_t *json, const char *key, uint64_t number)
{
	json_object_set_new(json, key,
		number == CGROUP_UNKNOWN ? json_null() : json_integer((json_int_t)number));
}

static json_t *numbers(const uint64_t *list, size_t count)
{
	json_t *json = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(json, json_integer((json_int_t)list[i]));
	return json;
}

static json_t *quantiles(const struct board_answered *answered)
{
	static const struct {
		const char *name;
		double part;
	} wanted[] = { { "p50", 0.5 }, { "p95", 0.95 }, { "p99", 0.99 } };
	json_t *json = json_object();

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		double seconds = board_answered_quantile(answered, wanted[i].part);

		json_object_set_new(json, wanted[i].name,
			seconds < 0 ? json_null() : json_real(seconds * 1000));
	}
	return json;
}

static void put_figures(json_t *json, const struct figures *figures)
{
	json_t *codes = json_object();

	for (size_t i = 0; i < BOARD_CODES; i++)
		json_object_set_new(codes, board_code_names[i],
			json_integer((json_int_t)figures->answered.codes[i]));
	json_object_set_new(json, "requests", json_integer((json_int_t)figures->requests));
	json_object_set_new(json, "in_flight", json_integer((json_int_t)figures->in_flight));
	json_object_set_new(json, "codes", codes);
	json_object_set_new(json, "latency_ms", quantiles(&figures->answered));
	json_object_set_new(json, "times", numbers(figures->answered.times, BOARD_TIMES));
	json_object_set_new(json, "bytes_in", json_integer((json_int_t)figures->bytes_in));
	json_object_set_new(json, "bytes_out", json_integer((json_int_t)figures->bytes_out));
	json_object_set_new(json, "wakes", json_integer((json_int_t)figures->wakes));
	json_object_set_new(json, "restarts", json_integer((json_int_t)figures->restarts));
	put_known(json, "memory_bytes", figures->memory_bytes);
	put_known(json, "cpu_usec", figures->cpu_usec);
	put_known(json, "storage_used_bytes", figures->stored_bytes);
}

static void figures_of(struct daemon *d, const struct instance *instance, struct figures *figures)
{
	struct cgroup_usage now;
	struct board_use use;

	*figures = (struct figures){ .memory_bytes = CGROUP_UNKNOWN };
	instance_use(d, instance, &use);
	if (instance_is_used(d, instance))
		board_answered(d->board, instance->target.slot, &figures->answered);
	figures->requests = use.requests;
	figures->in_flight = use.in_flight;
	figures->bytes_in = use.bytes_in;
	figures->bytes_out = use.bytes_out;
	figures->wakes = instance->wakes;
	figures->restarts = instance->restarts;
	if (usage_now(instance, &now))
		figures->memory_bytes = now.memory_bytes;
	figures->cpu_usec = usage_cpu_usec(instance);
	figures->stored_bytes = storage_used(instance);
	if (figures->stored_bytes == STORAGE_UNKNOWN)
		figures->stored_bytes = CGROUP_UNKNOWN;
}

static void add_known(uint64_t *sum, uint64_t number)
{
	if (number != CGROUP_UNKNOWN)
		*sum += number;
}

static void add(struct figures *sum, const struct figures *one)
{
	struct board_total to = { .answered = sum->answered }, from = { .answered = one->answered };

	board_total_add(&to, &from);
	sum->answered = to.answered;
	sum->requests += one->requests;
	sum->in_flight += one->in_flight;
	sum->bytes_in += one->bytes_in;
	sum->bytes_out += one->bytes_out;
	sum->wakes += one->wakes;
	sum->restarts += one->restarts;
	add_known(&sum->memory_bytes, one->memory_bytes);
	add_known(&sum->cpu_usec, one->cpu_usec);
	add_known(&sum->stored_bytes, one->stored_bytes);
}

static json_t *row(const struct instance *instance, const struct figures *figures)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:I}", "id", instance->key, "state",
		instance_state_names[instance->state], "health", health_name(instance->run),
		"uptime_secs", (json_int_t)(daemon_now() - instance->run->started));

	put_figures(json, figures);
	return json;
}

static json_t *bounds(void)
{
	json_t *json = json_array();

	for (size_t i = 0; i + 1 < BOARD_TIMES; i++)
		json_array_append_new(json, json_real(board_time_bounds[i]));
	return json;
}

static json_t *telemetry_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	const struct question *question = data;
	struct figures sum = { 0 }, one;
	uint64_t by_state[INSTANCE_STATES] = { 0 };
	json_t *rows, *states, *total;
	struct instance *instance, *next;

	(void)status;
	if (!usage_is_read(question->read) && !time_is_up)
		return NULL;
	rows = json_array();
	states = json_object();
	total = json_object();
	HASH_ITER (hh, d->instances, instance, next) {
		if (!instance->known || !principal_sees(&question->who, instance))
			continue;
		by_state[instance->state]++;
		figures_of(d, instance, &one);
		add(&sum, &one);
		if (instance->run)
			json_array_append_new(rows, row(instance, &one));
	}
	for (int i = 0; i < INSTANCE_STATES; i++)
		json_object_set_new(
			states, instance_state_names[i], json_integer((json_int_t)by_state[i]));
	put_figures(total, &sum);
	return json_pack("{s:I, s:o, s:o, s:o, s:o}", "clock_ms", (json_int_t)daemon_now_ms(),
		"time_bounds_secs", bounds(), "states", states, "total", total, "instances", rows);
}

void control_telemetry(struct control_call *call)
{
	struct question *question = mem_alloc(sizeof(*question));

	question->who = call->who;
	/* Nobody gets here without a token but by metrics_public. */
	if (question->who.scope == SCOPE_NONE)
		question->who.scope = SCOPE_ALL;
	question->read = usage_read(call->d, USAGE_TO_SHOW);
	control_wait(call, ANSWER_SECONDS, telemetry_look, question, free);
}
