/* GET /api/status */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "daemon/audit.h"
#include "daemon/budget.h"
#include "daemon/cgroup.h"
#include "daemon/confdir.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/hold.h"
#include "daemon/network.h"
#include "daemon/owed.h"
#include "daemon/record.h"
#include "daemon/instance.h"
#include "daemon/override.h"
#include "daemon/port_guard.h"
#include "daemon/reconcile.h"
#include "daemon/rollout.h"
#include "daemon/limits.h"
#include "daemon/listeners.h"
#include "daemon/secret_watch.h"
#include "daemon/storage.h"
#include "log_to.h"
#include "machine.h"
#include "daemon/usage_store.h"
#include "mem.h"

#define PROBLEMS_SHOWN 50
#define WARNINGS_SHOWN 20

struct tally {
	uint64_t by_state[INSTANCE_STATES];
	uint64_t running; /* declared so, or by hand */
	uint64_t syslog;  /* whose output goes there */
	json_t *trouble;
	json_t *degraded; /* text to how many tenants */
};

static void tally_degraded(struct tally *tally, const struct ten_spec *spec)
{
	for (size_t i = 0; spec->degraded && spec->degraded[i]; i++) {
		json_int_t had =
			json_integer_value(json_object_get(tally->degraded, spec->degraded[i]));

		json_object_set_new(tally->degraded, spec->degraded[i], json_integer(had + 1));
	}
}

static bool in_trouble(const struct instance *instance)
{
	if (instance->state == INSTANCE_FAILED || instance->state == INSTANCE_BACKOFF)
		return true;
	return (instance->reason && *instance->reason) || storage_is_trouble(instance);
}

static void count(struct daemon *d, struct tally *tally)
{
	struct instance *instance, *next;

	HASH_ITER (hh, d->instances, instance, next) {
		autofree char *full = NULL;

		tally->by_state[instance->state]++;
		tally->running += instance->spec && instance->wanted_state == TENANT_RUNNING;
		if (instance->spec) {
			tally_degraded(tally, instance->spec);
			tally->syslog +=
				(log_to_read(instance->spec->values.log_to) & LOG_TO_SYSLOG) != 0;
		}
		if (!in_trouble(instance))
			continue;
		full = storage_is_trouble(instance) ? storage_reason(instance) : NULL;
		json_array_append_new(tally->trouble,
			json_pack("{s:s, s:s, s:s}", "instance", instance->key, "state",
				instance_state_names[instance->state], "reason",
				instance->reason ? instance->reason
				: full           ? full
						 : ""));
	}
}

static json_t *degraded_lines(json_t *degraded)
{
	json_t *lines = json_array();
	const char *text;
	json_t *number;

	json_object_foreach (degraded, text, number) {
		autofree char *line = mem_printf("%s (%lld tenant%s)", text,
			(long long)json_integer_value(number),
			json_integer_value(number) == 1 ? "" : "s");

		json_array_append_new(lines, json_string(line));
	}
	return lines;
}

static void put_problems(struct daemon *d, json_t *json, const struct confdir_status *status)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);
	json_t *texts = json_array();
	const char *last = "";
	size_t bad = 0;

	autofree char *owed = owed_problem(), *unrecorded = record_problem();
	autofree char *unstored = usage_store_problem(d);

	if (status->problem)
		json_array_append_new(texts, json_string(status->problem));
	if (owed)
		json_array_append_new(texts, json_string(owed));
	if (unrecorded)
		json_array_append_new(texts, json_string(unrecorded));
	if (unstored)
		json_array_append_new(texts, json_string(unstored));
	for (size_t i = 0; i < count; i++) {
		autofree char *text = i < PROBLEMS_SHOWN ? config_problem_text(&problems[i]) : NULL;

		if (text)
			json_array_append_new(texts, json_string(text));
		bad += strcmp(problems[i].file, last) != 0;
		last = problems[i].file;
	}
	json_object_set_new(json, "problems", texts);
	json_object_set_new(json, "problems_omitted",
		json_integer(count > PROBLEMS_SHOWN ? (json_int_t)(count - PROBLEMS_SHOWN) : 0));
	json_object_set_new(json, "files_bad", json_integer((json_int_t)bad));
}

/* They count and never make room: the rest of them has none. */
static void put_too_many(json_t *problems, const struct tally *tally, uint64_t max_running)
{
	autofree char *text = NULL;

	if (!max_running || tally->running <= max_running)
		return;
	text = mem_printf(
		"max_running = %llu, and %llu tenants are to be running: those beyond wait "
		"for room, and no other is woken. Raise max_running, or declare fewer "
		"of them running",
		(unsigned long long)max_running, (unsigned long long)tally->running);
	json_array_append_new(problems, json_string(text));
}

static void put_logs(const struct daemon *d, json_t *problems)
{
	unsigned long long count = atomic_load(&d->board->logs.stores_aside);
	autofree char *text = NULL;

	if (!count)
		return;
	text = mem_printf("the store of tenants' output was damaged %llu time%s since the server "
			  "started: what it held is kept as logs.db.damaged.* in "
			  "%s/.tenement/logs, and not searched",
		count, count == 1 ? "" : "s", d->data_dir);
	json_array_append_new(problems, json_string(text));
}

static json_t *room(struct daemon *d, const struct budget_status *status)
{
	autofree char *waits = status->waiting ? budget_waits_for(d, TAILQ_FIRST(&d->queue)) : NULL;

	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:s}", "running",
		(json_int_t)status->running, "max_running", (json_int_t)status->max_running,
		"memory_bytes", (json_int_t)status->memory_bytes, "memory_budget_bytes",
		(json_int_t)status->memory_budget_bytes, "memory_pressure",
		status->pressure < 0 ? json_null() : json_real(status->pressure), "waiting",
		(json_int_t)status->waiting, "why", waits ? waits : "");
}

static void count_file(void *data, const char *name, bool good)
{
	(void)name;
	(void)good;
	++*(json_int_t *)data;
}

static json_t *worker(const struct daemon *d, uint32_t place)
{
	const struct board_worker *on_board = &d->board->workers[place];

	return json_pack("{s:i, s:I, s:I, s:I}", "worker", (int)d->seats[place].lane, "pid",
		(json_int_t)atomic_load(&on_board->pid), "clients",
		(json_int_t)atomic_load(&on_board->clients), "requests",
		(json_int_t)atomic_load(&on_board->requests));
}

/* By lane, wherever they sit. */
static json_t *workers(const struct daemon *d, enum seat_state wanted)
{
	json_t *list = json_array();

	for (uint32_t lane = 0; lane < d->workers; lane++)
		for (uint32_t w = 0; w < BOARD_WORKERS_MAX; w++)
			if (d->seats[w].state == wanted && d->seats[w].lane == lane)
				json_array_append_new(list, worker(d, w));
	return list;
}

/* Of all workers, those that were replaced included: as in /metrics. */
static json_t *proxy(struct daemon *d)
{
	struct board_work work;

	board_work(d->board, &work);
	return json_pack("{s:I, s:I}", "clients", (json_int_t)work.clients, "requests",
		(json_int_t)work.requests);
}

static json_t *held(const struct confdir_status *status)
{
	if (!status->held)
		return json_null();
	return json_pack("{s:o, s:o, s:s, s:s}", "files", describe_strv(status->held_files),
		"instances", describe_strv(status->held_instances), "why", status->held_why, "type",
		"ten apply --confirm");
}

static json_t *halted(struct daemon *d)
{
	json_t *list = json_array();
	struct rollout *rollout, *next;

	HASH_ITER (hh, d->rollouts, rollout, next) {
		autofree char *text = rollout_describe(d, rollout->service);

		if (text)
			json_array_append_new(list, json_string(text));
	}
	return list;
}

static void add_secret(void *data, const char *problem)
{
	autofree char *text = mem_printf(
		"a secret cannot be used, and who runs by it goes on with what it has: %s",
		problem);

	if (json_array_size(data) < WARNINGS_SHOWN)
		json_array_append_new(data, json_string(text));
}

/* What the machine cannot give. */
static json_t *lacks(const struct machine *machine)
{
	json_t *list = json_array();

	for (size_t i = 0; i < machine->count; i++) {
		const struct machine_lack *lack = &machine->lacks[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s?, s:s}", "option", lack->option->name, "value",
				      lack->value, "why", lack->why));
	}
	return list;
}

static json_t *warnings(struct daemon *d, const struct tally *tally)
{
	autofree char *network = network_problem(d);
	json_t *list = json_array();

	if (audit_problem(d))
		json_array_append_new(
			list, json_sprintf("the audit log cannot be written, and lacks %" PRIu64
					   " lines: %s",
				      audit_lost(d), audit_problem(d)));
	if (!d->root)
		json_array_append_new(list,
			json_string(machine_lacks_value(&d->machine, "isolation", "namespace")
					    ? "all tenants share the daemon's uid and are not "
					      "protected from each other: run `ten serve` as root"
					    : "all tenants share the daemon's uid: those with "
					      "isolation = \"process\" are not protected from each "
					      "other; run `ten serve` as root"));
	if (network)
		json_array_append_new(list, json_string(network));
	if (port_guard_is_forgeable(d))
		json_array_append_new(list,
			json_string(
				"tenants with network = \"host\" can write their own "
				"X-Forwarded-For: trusted_proxies holds loopback, and there are "
				"no rules that keep them from our listeners"));
	if (tally->syslog && access(d->boot.syslog_socket, F_OK) < 0)
		json_array_append_new(list,
			json_sprintf("%s is not there: what tenants with log_to = [\"syslog\"] "
				     "write does not get to syslog",
				d->boot.syslog_socket));
	secret_watch_each_problem(add_secret, list);
	return list;
}

void control_status(struct control_call *call)
{
	struct daemon *d = call->d;
	struct tally tally = { .trouble = json_array(), .degraded = json_object() };
	struct confdir_status status;
	struct budget_status budget;
	json_t *json, *tenants, *files;
	autofree char *cgroups = cgroup_describe();
	autofree char *limits = limits_describe();
	json_int_t total = 0;

	confdir_status(d, &status);
	hold_prune(d);
	count(d, &tally);
	config_set_each_file(d->set, count_file, &total);
	tenants = json_pack("{s:I}", "declared", (json_int_t)config_set_instance_count(d->set));
	for (int i = 0; i < INSTANCE_STATES; i++)
		json_object_set_new(tenants, instance_state_names[i],
			json_integer((json_int_t)tally.by_state[i]));
	json = json_pack("{s:s, s:i, s:I, s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:s}", "version",
		TEN_VERSION, "pid", (int)getpid(), "generation", (json_int_t)d->generation,
		"paused", d->paused, "converged", !status.waiting && reconcile_converged(d), "root",
		d->root, "domain", d->domain, "data_dir", d->data_dir, "conf_dir", d->conf_dir,
		"runtime_dir", d->runtime_dir, "main_file", d->place.main_path);
	json_object_set_new(
		json, "uptime_secs", json_integer((json_int_t)(daemon_now() - d->started)));
	json_object_set_new(json, "paused_why", json_string(d->paused_why ? d->paused_why : ""));
	json_object_set_new(json, "cgroups", json_string(cgroups));
	json_object_set_new(json, "limits", json_string(limits));
	json_object_set_new(json, "storage", json_string(storage_way()));
	json_object_set_new(json, "listen", describe_strv(listeners_addresses()));
	json_object_set_new(json, "listen_problems", describe_strv(listeners_problems()));
	json_object_set_new(json, "tenants", tenants);
	json_object_set_new(json, "keeper_pid", json_integer(getppid()));
	budget_status(d, &budget);
	json_object_set_new(json, "room", room(d, &budget));
	put_problems(d, json, &status);
	put_too_many(json_object_get(json, "problems"), &tally, budget.max_running);
	put_logs(d, json_object_get(json, "problems"));
	files = json_pack("{s:I, s:O}", "total", total, "bad", json_object_get(json, "files_bad"));
	json_object_del(json, "files_bad");
	json_object_set_new(json, "files", files);
	json_object_set_new(json, "held", held(&status));
	json_object_set_new(json, "confirm", describe_strv(status.confirm));
	json_object_set_new(json, "restart_needed", describe_strv(status.restart_needed));
	json_object_set_new(json, "degraded", degraded_lines(tally.degraded));
	json_object_set_new(json, "warnings", warnings(d, &tally));
	json_object_set_new(json, "lacks", lacks(&d->machine));
	json_object_set_new(json, "halted", halted(d));
	json_object_set_new(json, "overrides", json_integer(HASH_COUNT(d->overrides)));
	json_object_set_new(json, "trouble", tally.trouble);
	json_object_set_new(json, "proxy", proxy(d));
	json_object_set_new(json, "workers", workers(d, SEAT_CURRENT));
	json_object_set_new(json, "draining_workers", workers(d, SEAT_RETIRED));
	json_decref(tally.degraded);
	control_answer(call, 200, json);
}

void control_tls_status(struct control_call *call)
{
	control_answer(call, 200,
		json_pack("{s:b, s:s, s:[]}", "enabled", false, "reason",
			"this tenement speaks plain HTTP: let what ends TLS stand before it (see "
			"trusted_proxies). What is asked of the API through the proxy is answered "
			"on loopback alone",
			"certificates"));
}
