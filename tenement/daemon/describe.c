#include "daemon/describe.h"

#include <math.h>
#include <string.h>

#include "common/become.h"
#include "common/process.h"
#include "config_path.h"
#include "daemon/budget.h"
#include "daemon/cgroup_usage.h"
#include "daemon/failures.h"
#include "daemon/health.h"
#include "daemon/isolation.h"
#include "daemon/limits.h"
#include "daemon/network.h"
#include "daemon/override.h"
#include "daemon/publish.h"
#include "daemon/reconcile.h"
#include "daemon/schedule.h"
#include "daemon/secrets.h"
#include "daemon/storage.h"
#include "daemon/listeners.h"
#include "mem.h"
#include "names.h"
#include "storage_rules.h"
#include "suggest.h"

json_t *describe_strv(char *const *list)
{
	json_t *array = json_array();

	for (size_t i = 0; list && list[i]; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

static json_t *integer_or_null(bool there, int64_t number)
{
	return there ? json_integer(number) : json_null();
}

static int64_t idle_secs(const struct run *run, const struct board_use *use)
{
	if (use->in_flight)
		return 0;
	return (int64_t)(daemon_now() - fmax((double)use->last_used_ms / 1000, run->ready_since));
}

static void put_url(struct daemon *d, json_t *json, const struct ten_spec *spec)
{
	char **addresses = listeners_addresses();
	autofree char *host = names_host_make(spec->id, spec->service_name, d->domain);
	const char *colon = addresses && addresses[0] ? strrchr(addresses[0], ':') : NULL;
	autofree char *url = NULL;

	if (!colon || strcmp(colon, ":80") == 0 || strncmp(addresses[0], "unix:", 5) == 0)
		url = mem_printf("http://%s/", host);
	else
		url = mem_printf("http://%s%s/", host, colon);
	json_object_set_new(json, "url", json_string(url));
}

static json_t *overridden(struct daemon *d, const char *key)
{
	json_t *list = json_array();

	if (override_find(d, key, OVERRIDE_STATE))
		json_array_append_new(list, json_string("state"));
	if (override_find(d, key, OVERRIDE_WEIGHT))
		json_array_append_new(list, json_string("weight"));
	if (override_find(d, key, OVERRIDE_HOLD))
		json_array_append_new(list, json_string("hold"));
	return list;
}

/* FILE, a name of the set's, as problems call it where it is wrong; NULL: it is not, or there is
 * none. */
static const char *wrong_file(struct daemon *d, const char *file)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);

	for (size_t i = 0; file && i < count; i++)
		if (strcmp(config_path_name(problems[i].file), config_path_name(file)) == 0)
			return problems[i].file;
	return NULL;
}

/* Whether SPEC is in force only because what its files say now is wrong. */
static void put_last_good(struct daemon *d, json_t *json, const struct ten_spec *spec)
{
	const char *wrong = wrong_file(d, spec->file);

	if (!wrong)
		wrong = wrong_file(d, config_set_service_file(d->set, spec->service_name));
	json_object_set_new(json, "last_good", json_boolean(wrong));
	json_object_set_new(json, "wrong_file", wrong ? json_string(wrong) : json_null());
}

/* In whole, and its two numbers again by the names that lists of instances are known for. */
static void put_storage(json_t *json, const struct instance *instance)
{
	json_t *storage = storage_describe(instance);

	json_object_set(json, "storage_used_bytes", json_object_get(storage, "used_bytes"));
	json_object_set(json, "storage_quota_bytes", json_object_get(storage, "quota_bytes"));
	json_object_set_new(json, "storage", storage);
}

json_t *describe_instance(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = instance->spec ? instance->spec : instance->published;
	const struct run *run = instance->run;
	double now = daemon_now();
	autofree char *waits = budget_waits_for(d, instance);
	autofree char *stored = storage_reason(instance);
	const char *reason = waits ? waits : instance->reason ? instance->reason : stored;
	autofree char *network = run ? network_describe(run) : NULL;
	struct board_use use;
	json_t *json = json_object();

	instance_use(d, instance, &use);
	json_object_set_new(json, "id", json_string(instance->key));
	json_object_set_new(json, "state", json_string(instance_state_names[instance->state]));
	json_object_set_new(
		json, "state_secs", json_integer((json_int_t)(now - instance->state_since)));
	json_object_set_new(json, "pid", integer_or_null(run && run->pid > 0, run ? run->pid : 0));
	json_object_set_new(
		json, "uid", integer_or_null(run && run->uid != BECOME_KEEP, run ? run->uid : 0));
	json_object_set_new(json, "port", integer_or_null(run && run->port, run ? run->port : 0));
	json_object_set_new(json, "network", network ? json_string(network) : json_null());
	json_object_set_new(json, "socket",
		run && run->socket_path ? json_string(run->socket_path) : json_null());
	json_object_set_new(json, "uptime_secs",
		integer_or_null(run != NULL, run ? (int64_t)(now - run->started) : 0));
	json_object_set_new(json, "idle_secs",
		integer_or_null(run && run->ready, run && run->ready ? idle_secs(run, &use) : 0));
	json_object_set_new(json, "restarts", json_integer(instance->restarts));
	json_object_set_new(json, "health", json_string(health_name(run)));
	json_object_set_new(json, "next_try", failures_next_try(instance));
	json_object_set_new(json, "weight", json_integer(publish_weight_of(d, instance)));
	json_object_set_new(json, "requests", json_integer((json_int_t)use.requests));
	json_object_set_new(json, "in_flight", json_integer((json_int_t)use.in_flight));
	json_object_set_new(json, "upgraded", json_integer((json_int_t)use.upgraded));
	json_object_set_new(json, "waiting", json_integer((json_int_t)use.waiting));
	json_object_set_new(json, "queued", json_integer((json_int_t)use.queued));
	json_object_set_new(json, "connections", json_integer((json_int_t)use.connections));
	json_object_set_new(json, "reason", json_string(reason ? reason : ""));
	json_object_set_new(json, "overridden", overridden(d, instance->key));
	if (!spec)
		return json;
	json_object_set_new(json, "service", json_string(spec->service_name));
	json_object_set_new(json, "tenant", json_string(spec->id));
	json_object_set_new(json, "declared", json_string(tenant_state_names[spec->tenant.state]));
	json_object_set_new(
		json, "effective", json_string(tenant_state_names[instance->wanted_state]));
	json_object_set_new(json, "isolation",
		json_string(isolation_name(run ? run->level : isolation_level(d, spec))));
	json_object_set_new(json, "degraded", describe_strv(spec->degraded));
	put_storage(json, instance);
	json_object_set_new(json, "dir", json_string(spec->dir));
	put_url(d, json, spec);
	return json;
}

json_t *describe_instance_brief(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = instance->spec ? instance->spec : instance->published;
	const struct run *run = instance->run;
	uint64_t stored = storage_used(instance);
	autofree char *full = instance->reason ? NULL : storage_reason(instance);
	struct board_use use;
	json_t *json = json_object(), *list = overridden(d, instance->key);

	instance_use(d, instance, &use);
	json_object_set_new(json, "id", json_string(instance->key));
	json_object_set_new(json, "state", json_string(instance_state_names[instance->state]));
	json_object_set_new(json, "state_secs",
		json_integer((json_int_t)(daemon_now() - instance->state_since)));
	if (run && run->pid > 0)
		json_object_set_new(json, "pid", json_integer(run->pid));
	if (run && run->ready)
		json_object_set_new(json, "idle_secs", json_integer(idle_secs(run, &use)));
	if (run)
		json_object_set_new(json, "health", json_string(health_name(run)));
	if (use.requests)
		json_object_set_new(json, "requests", json_integer((json_int_t)use.requests));
	if (instance->reason || full)
		json_object_set_new(
			json, "reason", json_string(instance->reason ? instance->reason : full));
	if (stored != STORAGE_UNKNOWN)
		json_object_set_new(json, "storage_used_bytes", json_integer((json_int_t)stored));
	if (json_array_size(list))
		json_object_set(json, "overridden", list);
	if (spec)
		put_url(d, json, spec);
	json_decref(list);
	return json;
}

/* What the proxy refused of its requests, by reason; reasons that there were. */
static json_t *refusals(struct daemon *d, const struct instance *instance)
{
	json_t *json = json_object();

	for (int why = 0; instance->known && why < BOARD_REFUSALS; why++) {
		const struct board_slot *slot = &d->board->slots[instance->target.slot];
		uint64_t number = atomic_load(&slot->refusals[why]);

		if (number && why != BOARD_ANSWERED_ASLEEP)
			json_object_set_new(
				json, board_refusal_names[why], json_integer((json_int_t)number));
	}
	return json;
}

/* How its last process ended, if one did. */
static json_t *last_exit(const struct instance *instance)
{
	if (!instance->exit_seen || instance->exit_status < 0)
		return json_null();
	if (instance->exit_normal)
		return json_pack("{s:i}", "status", instance->exit_status);
	return json_pack("{s:i, s:s}", "signal", instance->exit_status, "name",
		strsignal(instance->exit_status));
}

static json_t *environment(const struct ten_spec *spec, bool secrets)
{
	json_t *env = json_object();

	for (size_t i = 0; i < spec->values.env.count; i++)
		json_object_set_new(env, spec->values.env.pairs[i].name,
			json_string(secrets ? spec->values.env.pairs[i].value : "***"));
	return env;
}

/* What its process uses, of which is left out what nobody says. */
static void put_usage(json_t *json, const struct run *run)
{
	struct cgroup_usage usage;
	const struct {
		const char *name;
		const uint64_t *number;
	} parts[] = {
		{ "memory_peak_bytes", &usage.memory_peak_bytes },
		{ "cpu_usec", &usage.cpu_usec },
		{ "pids", &usage.pids },
		{ "io_read_bytes", &usage.io_read_bytes },
		{ "io_written_bytes", &usage.io_written_bytes },
	};
	json_t *all;

	if (!run || (run->cgroup ? cgroup_usage(run->cgroup, &usage)
				 : cgroup_usage_of_tree(run->pid, &usage)) < 0)
		return;
	if (usage.memory_bytes != CGROUP_UNKNOWN)
		json_object_set_new(
			json, "memory_bytes", json_integer((json_int_t)usage.memory_bytes));
	all = json_object();
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (*parts[i].number != CGROUP_UNKNOWN)
			json_object_set_new(
				all, parts[i].name, json_integer((json_int_t)*parts[i].number));
	json_object_set_new(json, "usage", all);
}

static void put_limits_problem(json_t *json, const struct instance *instance)
{
	autofree char *problem = limits_problem(instance);

	json_object_set_new(json, "limits_problem", problem ? json_string(problem) : json_null());
}

json_t *describe_instance_whole(struct daemon *d, struct instance *instance, bool secrets)
{
	const struct ten_spec *spec = instance->spec ? instance->spec : instance->published;
	const struct ten_spec *newest = config_set_instance(d->set, instance->key);
	json_t *json = describe_instance(d, instance);

	json_object_set_new(json, "refusals", refusals(d, instance));
	json_object_set_new(json, "failures", json_integer((json_int_t)instance->failure_count));
	json_object_set_new(json, "last_exit", last_exit(instance));
	json_object_set_new(json, "failed_check",
		health_problem(instance->run) ? json_string(health_problem(instance->run))
					      : json_null());
	json_object_set_new(json, "oom_kills", json_integer((json_int_t)instance->oom_kills));
	put_limits_problem(json, instance);
	json_object_set_new(json, "schedule", schedule_describe(instance));
	json_object_set_new(json, "next", describe_next_steps(d, instance));
	put_usage(json, instance->run);
	/* A file that was renamed says the same from another place. */
	if (newest)
		spec = newest;
	if (!spec)
		return json;
	json_object_set_new(json, "sticky",
		json_string(sticky_names[publish_sticky_of(d, spec->service_name)]));
	json_object_set_new(json, "env", environment(spec, secrets));
	json_object_set_new(json, "secrets", secrets_describe(d, instance));
	json_object_set_new(json, "command", json_string(spec->values.command));
	json_object_set_new(json, "file", json_string(spec->file));
	json_object_set_new(json, "line", json_integer(spec->line));
	put_last_good(d, json, spec);
	return json;
}

static void offer(void *data, const struct ten_spec *spec)
{
	suggest_offer(data, spec->key);
}

char *describe_unknown(struct daemon *d, const char *key)
{
	struct suggest suggest = suggest_begin(key);

	config_set_each_instance(d->set, offer, &suggest);
	return suggest.best ? mem_printf("no tenant %s (did you mean %s?)", key, suggest.best)
			    : mem_printf("no tenant %s", key);
}
