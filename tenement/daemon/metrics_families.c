#include "daemon/metrics_families.h"

/* A tenant has only what is not nothing, for there are very many: a service has all, so that what
 * happens for the first time is seen to have grown. */
static bool is_told(const struct metrics_row *row, uint64_t number)
{
	return row->is_service || number;
}

static void put_requests(struct metrics_out *out, const struct metrics_row *row)
{
	for (int code = 0; code < BOARD_CODES; code++)
		if (is_told(row, row->total.answered.codes[code]))
			metrics_put_with(out, row->labels, "code", board_code_names[code],
				row->total.answered.codes[code]);
}

static void put_duration(struct metrics_out *out, const struct metrics_row *row)
{
	const struct board_answered *answered = &row->total.answered;
	struct metrics_histogram histogram = { board_time_bounds, answered->times, BOARD_TIMES - 1,
		(double)answered->took_us / 1e6 };

	if (is_told(row, board_answered_count(answered)))
		metrics_put_histogram(out, row->labels, &histogram);
}

static void put_bytes(struct metrics_out *out, const struct metrics_row *row)
{
	if (!row->used)
		return;
	metrics_put_with(out, row->labels, "direction", "in", row->total.bytes_in);
	metrics_put_with(out, row->labels, "direction", "out", row->total.bytes_out);
}

static void put_in_flight(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->used)
		metrics_put(out, row->labels, row->use.in_flight);
}

static void put_queued(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->used)
		metrics_put(out, row->labels, row->use.queued);
}

static void put_waiting(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->used)
		metrics_put(out, row->labels, row->use.waiting);
}

static void put_upgraded(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->used)
		metrics_put(out, row->labels, row->use.upgraded);
}

static void put_refusals(struct metrics_out *out, const struct metrics_row *row)
{
	for (int why = 0; why < BOARD_REFUSALS; why++)
		if (row->total.refusals[why] && why != BOARD_ANSWERED_ASLEEP)
			metrics_put_with(out, row->labels, "reason", board_refusal_names[why],
				row->total.refusals[why]);
}

static void put_not_woken(struct metrics_out *out, const struct metrics_row *row)
{
	for (int why = 0; why < BOARD_REFUSALS; why++)
		if (row->total.refusals[why] && board_not_woken((enum board_refusal)why))
			metrics_put_with(out, row->labels, "reason", board_refusal_names[why],
				row->total.refusals[why]);
}

static void put_states(struct metrics_out *out, const struct metrics_row *row)
{
	for (int state = 0; state < INSTANCE_STATES; state++)
		if (is_told(row, row->states[state]))
			metrics_put_with(out, row->labels, "state", instance_state_names[state],
				row->states[state]);
}

static void put_health(struct metrics_out *out, const struct metrics_row *row)
{
	for (int health = 0; health < METRICS_HEALTHS; health++)
		if (is_told(row, row->healths[health]))
			metrics_put_with(out, row->labels, "health", metrics_health_names[health],
				row->healths[health]);
}

static void put_counter(
	struct metrics_out *out, const struct metrics_row *row, enum counter counter)
{
	if (is_told(row, row->counters.counts[counter]))
		metrics_put(out, row->labels, row->counters.counts[counter]);
}

static void put_starts(struct metrics_out *out, const struct metrics_row *row)
{
	put_counter(out, row, COUNTER_STARTS);
}

static void put_freezes(struct metrics_out *out, const struct metrics_row *row)
{
	put_counter(out, row, COUNTER_FREEZES);
}

static void put_restarts(struct metrics_out *out, const struct metrics_row *row)
{
	put_counter(out, row, COUNTER_RESTARTS);
}

static void put_failures(struct metrics_out *out, const struct metrics_row *row)
{
	put_counter(out, row, COUNTER_FAILURES);
}

static void put_oom_kills(struct metrics_out *out, const struct metrics_row *row)
{
	put_counter(out, row, COUNTER_OOM_KILLS);
}

static void put_wakes(struct metrics_out *out, const struct metrics_row *row)
{
	for (int cause = 0; cause < WAKE_CAUSES; cause++)
		metrics_put_with(out, row->labels, "cause", wake_cause_names[cause],
			row->counters.wakes[cause]);
}

static void put_cpu(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->has_cpu)
		metrics_put_seconds(out, row->labels, (double)row->cpu_usec / 1e6);
}

static void put_memory(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->has_memory)
		metrics_put(out, row->labels, row->memory_bytes);
}

static void put_storage(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->has_storage)
		metrics_put(out, row->labels, row->storage_bytes);
}

static void put_quota(struct metrics_out *out, const struct metrics_row *row)
{
	if (row->has_quota)
		metrics_put(out, row->labels, row->quota_bytes);
}

const struct metrics_family metrics_families[] = {
	{ METRIC_SERVICE_REQUESTS, METRIC_INSTANCE_REQUESTS, put_requests },
	{ METRIC_SERVICE_DURATION, METRIC_INSTANCE_DURATION, put_duration },
	{ METRIC_SERVICE_BYTES, METRIC_INSTANCE_BYTES, put_bytes },
	{ METRIC_SERVICE_IN_FLIGHT, METRIC_INSTANCE_IN_FLIGHT, put_in_flight },
	{ METRIC_SERVICE_QUEUED, METRIC_INSTANCE_QUEUED, put_queued },
	{ METRIC_SERVICE_WAITING, METRIC_INSTANCE_WAITING, put_waiting },
	{ METRIC_SERVICE_UPGRADED, METRIC_INSTANCE_UPGRADED, put_upgraded },
	{ METRIC_SERVICE_REFUSALS, METRIC_INSTANCE_REFUSALS, put_refusals },
	{ METRIC_SERVICE_NOT_WOKEN, METRIC_INSTANCE_NOT_WOKEN, put_not_woken },
	{ METRIC_SERVICE_INSTANCES, METRIC_INSTANCE_STATE, put_states },
	{ METRIC_SERVICE_HEALTH, METRIC_INSTANCE_HEALTH, put_health },
	{ METRIC_SERVICE_STARTS, METRIC_INSTANCE_STARTS, put_starts },
	{ METRIC_SERVICE_WAKES, METRIC_NONE, put_wakes },
	{ METRIC_SERVICE_FREEZES, METRIC_INSTANCE_FREEZES, put_freezes },
	{ METRIC_SERVICE_RESTARTS, METRIC_INSTANCE_RESTARTS, put_restarts },
	{ METRIC_SERVICE_FAILURES, METRIC_INSTANCE_FAILURES, put_failures },
	{ METRIC_SERVICE_OOM_KILLS, METRIC_INSTANCE_OOM_KILLS, put_oom_kills },
	{ METRIC_SERVICE_CPU, METRIC_INSTANCE_CPU, put_cpu },
	{ METRIC_SERVICE_MEMORY, METRIC_INSTANCE_MEMORY, put_memory },
	{ METRIC_SERVICE_STORAGE, METRIC_INSTANCE_STORAGE, put_storage },
	{ METRIC_NONE, METRIC_INSTANCE_QUOTA, put_quota },
};
const size_t metrics_family_count = sizeof(metrics_families) / sizeof(*metrics_families);
