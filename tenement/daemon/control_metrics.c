/* GET /metrics: what the proxy and the tenants did, as Prometheus reads it (text format 0.0.4). */
#include <inttypes.h>
#include <string.h>

#include "daemon/budget.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/health.h"
#include "daemon/instance.h"
#include "daemon/oom.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "daemon/wake_times.h"
#include "mem.h"
#include "text.h"

#define TRIES_MAX 3

/* A tenant and what the board says of it, read once for all of its lines. */
struct row {
	const char *service, *id;
	enum instance_state state;
	const _Atomic uint64_t *refusals;
	uint64_t freezes, restarts, oom_kills;
	const char *health;
	struct board_use use;
	uint64_t memory_bytes, cpu_usec; /* CGROUP_UNKNOWN: not known */
};

static struct row *gather(struct daemon *d, size_t *count)
{
	static const _Atomic uint64_t none[BOARD_REFUSALS];
	struct row *rows = mem_alloc((HASH_COUNT(d->instances) + 1) * sizeof(*rows));
	struct instance *instance, *next;

	*count = 0;
	HASH_ITER (hh, d->instances, instance, next) {
		const struct ten_spec *spec = instance->spec ? instance->spec : instance->published;
		struct row *row = &rows[*count];
		struct cgroup_usage now;

		if (!instance->known || !spec)
			continue;
		row->service = spec->service_name;
		row->id = spec->id;
		row->state = instance->state;
		row->freezes = instance->freezes;
		row->restarts = instance->restarts;
		oom_look(d, instance);
		row->oom_kills = instance->oom_kills;
		row->health = health_name(instance->run);
		row->memory_bytes = usage_now(instance, &now) ? now.memory_bytes : CGROUP_UNKNOWN;
		row->cpu_usec = usage_cpu_usec(instance);
		row->refusals = instance_is_used(d, instance)
					? d->board->slots[instance->target.slot].refusals
					: none;
		instance_use(d, instance, &row->use);
		++*count;
	}
	return rows;
}

static void begin(struct text *text, const char *name, const char *type, const char *help)
{
	text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_proxy(struct daemon *d, struct text *text)
{
	struct board_work work;

	board_work(d->board, &work);
	begin(text, "tenement_proxy_requests_total", "counter", "Requests that were read.");
	text_printf(text, "tenement_proxy_requests_total %" PRIu64 "\n", work.requests);
	begin(text, "tenement_proxy_clients", "gauge", "Open client connections.");
	text_printf(text, "tenement_proxy_clients %" PRIu64 "\n", work.clients);
	begin(text, "tenement_proxy_refusals_total", "counter",
		"Requests and connections that the proxy itself refused, by reason.");
	for (int why = 0; why < BOARD_REFUSALS; why++)
		if (why != BOARD_ANSWERED_ASLEEP)
			text_printf(text,
				"tenement_proxy_refusals_total{reason=\"%s\"} %" PRIu64 "\n",
				board_refusal_names[why], work.refusals[why]);
}

static void put_states(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_instance_state", "gauge", "1 for the state that the tenant is in.");
	for (size_t i = 0; i < count; i++)
		text_printf(text,
			"tenement_instance_state{service=\"%s\",id=\"%s\",state=\"%s\"} 1\n",
			rows[i].service, rows[i].id, instance_state_names[rows[i].state]);
}

/* Only of those that are asked and have answered, and of those that had to be restarted. */
static void put_health(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_instance_health", "gauge",
		"1 for healthy, degraded or unhealthy, whichever the tenant is; absent: unknown.");
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].health, "unknown") != 0)
			text_printf(text,
				"tenement_instance_health{service=\"%s\",id=\"%s\",health=\"%s\"} "
				"1\n",
				rows[i].service, rows[i].id, rows[i].health);
	begin(text, "tenement_instance_restarts_total", "counter",
		"Times that the tenant was started again because it had failed; absent: none.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].restarts)
			text_printf(text,
				"tenement_instance_restarts_total{service=\"%s\",id=\"%s\"} "
				"%" PRIu64 "\n",
				rows[i].service, rows[i].id, rows[i].restarts);
}

/* Only of those that were: most tenants have no ladder. */
static void put_freezes(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_instance_freezes_total", "counter",
		"Times that the tenant was frozen since the daemon started; absent: none.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].freezes)
			text_printf(text,
				"tenement_instance_freezes_total{service=\"%s\",id=\"%s\"} "
				"%" PRIu64 "\n",
				rows[i].service, rows[i].id, rows[i].freezes);
}

static void put_oom_kills(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_oom_kills_total", "counter",
		"Processes of the tenant that the kernel killed for want of memory since the "
		"daemon started; absent: none.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].oom_kills)
			text_printf(text,
				"tenement_oom_kills_total{service=\"%s\",id=\"%s\"} "
				"%" PRIu64 "\n",
				rows[i].service, rows[i].id, rows[i].oom_kills);
}

static void put_number(
	struct text *text, const struct row *rows, size_t count, const char *name, size_t offset)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number;

		memcpy(&number, (const char *)&rows[i].use + offset, sizeof(number));
		text_printf(text, "%s{service=\"%s\",id=\"%s\"} %" PRIu64 "\n", name,
			rows[i].service, rows[i].id, number);
	}
}

static void put_numbers(struct text *text, const struct row *rows, size_t count)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} numbers[] = {
		{ "tenement_instance_requests_total", "counter", "Requests that were answered.",
			offsetof(struct board_use, requests) },
		{ "tenement_instance_in_flight", "gauge", "Requests in the tenant's hands.",
			offsetof(struct board_use, in_flight) },
		{ "tenement_instance_queued", "gauge",
			"Requests that wait because of max_concurrent.",
			offsetof(struct board_use, queued) },
		{ "tenement_instance_waiting", "gauge",
			"Requests that wait until the tenant is ready.",
			offsetof(struct board_use, waiting) },
		{ "tenement_instance_upgraded", "gauge",
			"WebSockets and other upgraded connections.",
			offsetof(struct board_use, upgraded) },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		begin(text, numbers[i].name, numbers[i].type, numbers[i].help);
		put_number(text, rows, count, numbers[i].name, numbers[i].offset);
	}
}

static void put_bytes(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_instance_bytes_total", "counter",
		"Bytes to the tenant (in) and from it (out).");
	for (size_t i = 0; i < count; i++)
		text_printf(text,
			"tenement_instance_bytes_total{service=\"%s\",id=\"%s\",direction=\"in\"} "
			"%" PRIu64 "\n"
			"tenement_instance_bytes_total{service=\"%s\",id=\"%s\",direction=\"out\"} "
			"%" PRIu64 "\n",
			rows[i].service, rows[i].id, rows[i].use.bytes_in, rows[i].service,
			rows[i].id, rows[i].use.bytes_out);
}

/* As of the last quarter of a minute, of those that were looked at. */
static void put_usage(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_instance_memory_bytes", "gauge",
		"Memory that the tenant's processes use; absent: it has none, or nobody knows.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].memory_bytes != CGROUP_UNKNOWN)
			text_printf(text,
				"tenement_instance_memory_bytes{service=\"%s\",id=\"%s\"} %" PRIu64
				"\n",
				rows[i].service, rows[i].id, rows[i].memory_bytes);
	begin(text, "tenement_instance_cpu_seconds_total", "counter",
		"Processor time of the tenant's processes since the daemon started; absent: none.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].cpu_usec != CGROUP_UNKNOWN)
			text_printf(text,
				"tenement_instance_cpu_seconds_total{service=\"%s\",id=\"%s\"} "
				"%.6f\n",
				rows[i].service, rows[i].id, (double)rows[i].cpu_usec / 1e6);
}

/* Only what has happened: tenants times reasons are many lines. */
static void put_reasons(struct text *text, const struct row *rows, size_t count, const char *name,
	bool (*counts)(enum board_refusal why))
{
	for (size_t i = 0; i < count; i++)
		for (int why = 0; why < BOARD_REFUSALS; why++) {
			uint64_t number = atomic_load(&rows[i].refusals[why]);

			if (number && counts((enum board_refusal)why))
				text_printf(text,
					"%s{service=\"%s\",id=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
					name, rows[i].service, rows[i].id, board_refusal_names[why],
					number);
		}
}

static bool is_refusal(enum board_refusal why)
{
	return why != BOARD_ANSWERED_ASLEEP;
}

static void put_refusals(struct text *text, const struct row *rows, size_t count)
{
	begin(text, "tenement_instance_refusals_total", "counter",
		"Requests for the tenant that the proxy refused, by reason; absent: none.");
	put_reasons(text, rows, count, "tenement_instance_refusals_total", is_refusal);
	begin(text, "tenement_not_woken_total", "counter",
		"Requests that found the tenant asleep and did not wake it, by reason; absent: "
		"none.");
	put_reasons(text, rows, count, "tenement_not_woken_total", board_not_woken);
}

static void put_room(struct daemon *d, struct text *text)
{
	struct budget_status status;

	budget_status(d, &status);
	begin(text, "tenement_running", "gauge",
		"Tenants that have a process: what max_running bounds.");
	text_printf(text, "tenement_running %" PRIu64 "\n", status.running);
	if (status.memory_budget_bytes) {
		begin(text, "tenement_memory_bytes", "gauge",
			"What memory_budget_mb bounds: processes that start are in it with what "
			"they are expected to use.");
		text_printf(text, "tenement_memory_bytes %" PRIu64 "\n", status.memory_bytes);
	}
	begin(text, "tenement_waiting_for_room", "gauge",
		"Tenants that wait until another makes room.");
	text_printf(text, "tenement_waiting_for_room %" PRIu64 "\n", status.waiting);
	begin(text, "tenement_evictions_total", "counter",
		"Idle tenants that were stopped or frozen to make room, by what asked for it, "
		"since "
		"the daemon started.");
	for (int bound = 0; bound < BUDGET_BOUNDS; bound++)
		text_printf(text, "tenement_evictions_total{reason=\"%s\"} %" PRIu64 "\n",
			budget_bound_names[bound], status.evictions[bound]);
}

static void put_all(struct daemon *d, struct text *text)
{
	size_t count;
	autofree struct row *rows = gather(d, &count);

	put_proxy(d, text);
	put_room(d, text);
	put_states(text, rows, count);
	put_health(text, rows, count);
	put_freezes(text, rows, count);
	put_oom_kills(text, rows, count);
	put_numbers(text, rows, count);
	put_bytes(text, rows, count);
	put_usage(text, rows, count);
	put_refusals(text, rows, count);
	storage_metrics(d, text);
	wake_times_put(d, text);
}

void control_metrics(struct control_call *call)
{
	struct daemon *d = call->d;
	autotext struct text text = { 0 };
	uint64_t settled;

	/* While a dead worker's numbers are carried over, some are in neither place. */
	for (int i = 0; i < TRIES_MAX; i++) {
		text_free(&text);
		settled = board_settled(d->board);
		put_all(d, &text);
		if (settled && settled == board_settled(d->board))
			break;
	}
	control_answer_text(call, "text/plain; version=0.0.4; charset=utf-8", &text);
}
