#include "daemon/metrics_server.h"

#include <string.h>

#include "daemon/audit.h"
#include "daemon/budget.h"
#include "daemon/confdir.h"
#include "daemon/counters.h"
#include "daemon/endpoints.h"

_Static_assert(RIGHTS == COUNTERS_RIGHTS, "a row for each right");

static void put_one(struct metrics_out *out, enum metric metric, uint64_t number)
{
	metrics_begin(out, metric);
	metrics_put(out, "", number);
}

/* While a dead worker's numbers are carried over, some are in neither place. */
#define TRIES_MAX 3
static void read_proxy(struct daemon *d, struct board_work *work)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		uint64_t settled = board_settled(d->board);

		board_work(d->board, work);
		if (settled && settled == board_settled(d->board))
			break;
	}
}

static void put_proxy(struct daemon *d, struct metrics_out *out)
{
	struct board_work work;

	read_proxy(d, &work);
	put_one(out, METRIC_PROXY_REQUESTS, work.requests);
	put_one(out, METRIC_PROXY_CLIENTS, work.clients);
	metrics_begin(out, METRIC_PROXY_REFUSALS);
	for (int why = 0; why < BOARD_REFUSALS; why++)
		if (why != BOARD_ANSWERED_ASLEEP)
			metrics_put_with(
				out, "", "reason", board_refusal_names[why], work.refusals[why]);
	metrics_begin(out, METRIC_PROXY_WORKERS);
	metrics_put_with(out, "", "state", "accepting", seats_count(d, SEAT_CURRENT));
	metrics_put_with(out, "", "state", "draining", seats_count(d, SEAT_RETIRED));
}

static void put_room(struct daemon *d, struct metrics_out *out)
{
	struct budget_status status;

	budget_status(d, &status);
	put_one(out, METRIC_RUNNING, status.running);
	if (status.memory_budget_bytes)
		put_one(out, METRIC_MEMORY, status.memory_bytes);
	put_one(out, METRIC_WAITING_FOR_ROOM, status.waiting);
	metrics_begin(out, METRIC_EVICTIONS);
	for (int bound = 0; bound < BUDGET_BOUNDS; bound++)
		metrics_put_with(
			out, "", "reason", budget_bound_names[bound], status.evictions[bound]);
}

static void count_file(void *data, const char *name, bool good)
{
	(void)name;
	(void)good;
	++*(uint64_t *)data;
}

/* They come file by file. */
static uint64_t bad_files(struct daemon *d)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);
	const char *last = "";
	uint64_t bad = 0;

	for (size_t i = 0; i < count; i++) {
		bad += strcmp(problems[i].file, last) != 0;
		last = problems[i].file;
	}
	return bad;
}

static void put_config(struct daemon *d, struct metrics_out *out)
{
	struct confdir_status status;
	uint64_t files = 0, held = 0;

	confdir_status(d, &status);
	config_set_each_file(d->set, count_file, &files);
	while (status.held && status.held_instances && status.held_instances[held])
		held++;
	put_one(out, METRIC_CONFIG_FILES, files);
	put_one(out, METRIC_CONFIG_FILES_BAD, bad_files(d));
	put_one(out, METRIC_CONFIG_GENERATION, d->generation);
	put_one(out, METRIC_CONFIG_HELD, held);
	put_one(out, METRIC_CONFIG_PAUSED, d->paused);
}

static void put_reconcile(struct metrics_out *out)
{
	const struct reconcile_counters *reconcile = counters_reconcile;
	struct metrics_histogram histogram = { counters_turn_bounds, reconcile->times,
		COUNTERS_TURN_TIMES - 1, (double)reconcile->took_us / 1e6 };

	metrics_begin(out, METRIC_RECONCILE);
	metrics_put_histogram(out, "", &histogram);
	put_one(out, METRIC_RECONCILE_ERRORS, reconcile->errors);
}

/* Only what was asked for: most rights never see most answers. */
static void put_api(const struct daemon *d, struct metrics_out *out)
{
	metrics_begin(out, METRIC_API_REQUESTS);
	for (int right = 0; right < RIGHTS; right++) {
		autotext struct text labels = { 0 };

		metrics_label(&labels, "right", right_names[right]);
		for (int code = 0; code < BOARD_CODES; code++)
			if (counters_of_api->answers[right][code])
				metrics_put_with(out, labels.data, "code", board_code_names[code],
					counters_of_api->answers[right][code]);
	}
	put_one(out, METRIC_API_WRONG_TOKENS, counters_of_api->wrong_tokens);
	put_one(out, METRIC_AUDIT_LOST, audit_lost(d));
}

static void put_logs(struct daemon *d, struct metrics_out *out)
{
	struct board_logs *logs = &d->board->logs;

	metrics_begin(out, METRIC_LOG_LINES);
	metrics_put_with(out, "", "log", "output", atomic_load(&logs->lines));
	metrics_put_with(out, "", "log", "access", atomic_load(&logs->access_lines));
	metrics_begin(out, METRIC_LOG_LOST);
	metrics_put_with(out, "", "reason", "log_rate", atomic_load(&logs->over_rate));
	metrics_put_with(out, "", "reason", "store", atomic_load(&logs->unstored));
	metrics_put_with(out, "", "reason", "access", atomic_load(&logs->access_lost));
	metrics_put_with(out, "", "reason", "forward", atomic_load(&logs->unforwarded));
}

static void put_traces(struct daemon *d, struct metrics_out *out)
{
	struct board_traces *traces = &d->board->traces;

	metrics_begin(out, METRIC_TRACE_SPANS);
	metrics_put_with(out, "", "result", "exported", atomic_load(&traces->exported));
	metrics_put_with(out, "", "result", "lost", atomic_load(&traces->lost));
	metrics_put_with(out, "", "result", "dropped", atomic_load(&traces->dropped));
	put_one(out, METRIC_TRACE_FAILURES, atomic_load(&traces->failures));
}

void metrics_server_put(struct daemon *d, struct metrics_out *out)
{
	metrics_begin(out, METRIC_BUILD);
	metrics_put_with(out, "", "version", TEN_VERSION, 1);
	put_proxy(d, out);
	put_room(d, out);
	put_config(d, out);
	put_reconcile(out);
	put_api(d, out);
	put_logs(d, out);
	put_traces(d, out);
}
