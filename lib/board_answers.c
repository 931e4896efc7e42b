#include "board_answers.h"

#include <string.h>

#include "board.h"

_Static_assert(BOARD_GONE_REASONS == BOARD_REFUSALS_MAX, "a sum for each reason");

const char *const board_code_names[BOARD_CODES] = { "1xx", "2xx", "3xx", "4xx", "5xx", "none" };

const double board_time_bounds[BOARD_TIMES - 1] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60 };

/* The same, as a worker compares them. */
static const uint64_t bounds_us[BOARD_TIMES - 1] = { 500, 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000 };

/* By its only writer: no other can come between. */
static void add(_Atomic uint64_t *number, uint64_t more)
{
	uint64_t had = atomic_load_explicit(number, memory_order_relaxed);

	atomic_store_explicit(number, had + more, memory_order_relaxed);
}

void board_answers_count(struct board_answers *answers, uint16_t status, uint64_t took_us)
{
	unsigned time = 0;

	if (status < 100 || status > 599) {
		add(&answers->codes[BOARD_CODE_NONE], 1);
		return;
	}
	while (time < BOARD_TIMES - 1 && took_us > bounds_us[time])
		time++;
	add(&answers->codes[status / 100 - 1], 1);
	add(&answers->times[time], 1);
	add(&answers->took_us, took_us);
}

static void sum_up(struct board_answered *sum, const struct board_answers *answers)
{
	sum->took_us += atomic_load_explicit(&answers->took_us, memory_order_relaxed);
	for (unsigned i = 0; i < BOARD_CODES; i++)
		sum->codes[i] += atomic_load_explicit(&answers->codes[i], memory_order_relaxed);
	for (unsigned i = 0; i < BOARD_TIMES; i++)
		sum->times[i] += atomic_load_explicit(&answers->times[i], memory_order_relaxed);
}

void board_answered(const struct board *board, uint32_t slot, struct board_answered *sum)
{
	if (slot >= ROUTE_SLOTS_MAX)
		return;
	sum_up(sum, &board->carried_answers[slot]);
	for (uint64_t live = atomic_load(&board->live); live; live &= live - 1)
		sum_up(sum, &board->answers[__builtin_ctzll(live)][slot]);
}

uint64_t board_answered_count(const struct board_answered *sum)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < BOARD_TIMES; i++)
		count += sum->times[i];
	return count;
}

double board_answered_quantile(const struct board_answered *sum, double part)
{
	uint64_t count = board_answered_count(sum), below = 0;
	double rank = part * (double)count;

	if (!count)
		return -1;
	for (unsigned i = 0; i + 1 < BOARD_TIMES; i++) {
		double from = i ? board_time_bounds[i - 1] : 0;

		if (sum->times[i] && rank <= (double)(below + sum->times[i]))
			return from + (board_time_bounds[i] - from) * (rank - (double)below) /
					      (double)sum->times[i];
		below += sum->times[i];
	}
	/* Of those beyond the last bound no more is known. */
	return board_time_bounds[BOARD_TIMES - 2];
}

/* ---- of services ---- */

void board_total_add(struct board_total *to, const struct board_total *from)
{
	to->answered.took_us += from->answered.took_us;
	for (unsigned i = 0; i < BOARD_CODES; i++)
		to->answered.codes[i] += from->answered.codes[i];
	for (unsigned i = 0; i < BOARD_TIMES; i++)
		to->answered.times[i] += from->answered.times[i];
	to->bytes_in += from->bytes_in;
	to->bytes_out += from->bytes_out;
	for (unsigned i = 0; i < BOARD_GONE_REASONS; i++)
		to->refusals[i] += from->refusals[i];
}

void board_total_of(const struct board *board, uint32_t slot, struct board_total *total)
{
	struct board_use use;

	*total = (struct board_total){ 0 };
	if (slot >= ROUTE_SLOTS_MAX)
		return;
	board_use(board, slot, &use);
	board_answered(board, slot, &total->answered);
	total->bytes_in = use.bytes_in;
	total->bytes_out = use.bytes_out;
	if (!board_has_refused(board, slot))
		return;
	for (unsigned i = 0; i < BOARD_REFUSALS; i++)
		total->refusals[i] =
			atomic_load_explicit(&board->slots[slot].refusals[i], memory_order_relaxed);
}

static struct board_gone *gone_place(struct board *board, const char *service,
	bool (*is_declared)(void *data, const char *service), void *data)
{
	for (unsigned i = 0; i < BOARD_GONE_MAX; i++) {
		struct board_gone *gone = &board->gone[i];

		if (!*gone->service || strcmp(gone->service, service) == 0)
			return gone;
	}
	for (unsigned i = 0; i < BOARD_GONE_MAX; i++)
		if (!is_declared(data, board->gone[i].service))
			return &board->gone[i];
	return NULL;
}

void board_gone_add(struct board *board, uint32_t slot, const char *service,
	bool (*is_declared)(void *data, const char *service), void *data)
{
	struct board_gone *gone;
	struct board_total total;
	size_t len = strlen(service);

	board_total_of(board, slot, &total);
	if (!len || len >= sizeof(gone->service))
		return;
	gone = gone_place(board, service, is_declared, data);
	if (!gone)
		return;
	if (strcmp(gone->service, service) != 0) {
		*gone = (struct board_gone){ 0 };
		memcpy(gone->service, service, len);
	}
	board_total_add(&gone->total, &total);
}

const struct board_total *board_gone_find(const struct board *board, const char *service)
{
	for (unsigned i = 0; i < BOARD_GONE_MAX && *board->gone[i].service; i++)
		if (strcmp(board->gone[i].service, service) == 0)
			return &board->gone[i].total;
	return NULL;
}
