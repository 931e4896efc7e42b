/*
 * What was answered: how many by class of status, and how long it took. A worker counts each
 * exchange whose tenant is known once, whoever answered it, the tenant or the proxy for it. The
 * time runs from the request's head to the answer's last byte; of an upgraded connection to the
 * 101.
 *
 * Of tenants that are no longer declared, sums by service are kept, so that a service's numbers
 * do not go backwards when one of its tenants goes.
 */
#ifndef TEN_BOARD_ANSWERS_H
#define TEN_BOARD_ANSWERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"

struct board;

enum board_code {
	BOARD_CODE_1XX,
	BOARD_CODE_2XX,
	BOARD_CODE_3XX,
	BOARD_CODE_4XX,
	BOARD_CODE_5XX,
	BOARD_CODE_NONE, /* the client left before there was an answer; has no time */
	BOARD_CODES
};
extern const char *const board_code_names[BOARD_CODES]; /* "2xx", "none" */

/* Upper bounds of what is counted together, in seconds; the last class has none. */
#define BOARD_TIMES 17
extern const double board_time_bounds[BOARD_TIMES - 1];

/* One worker's of one slot, written by that worker alone; also what is carried over. */
struct board_answers {
	_Alignas(64) _Atomic uint64_t took_us;
	_Atomic uint64_t codes[BOARD_CODES];
	_Atomic uint64_t times[BOARD_TIMES];
};
_Static_assert(sizeof(struct board_answers) == 192, "three cache lines");

/* A sum of such. */
struct board_answered {
	uint64_t took_us;
	uint64_t codes[BOARD_CODES];
	uint64_t times[BOARD_TIMES];
};

/* STATUS 0: none came. */
void board_answers_count(struct board_answers *answers, uint16_t status, uint64_t took_us);

/* Add to SUM what all workers counted of SLOT. */
void board_answered(const struct board *board, uint32_t slot, struct board_answered *sum);

/* The number of answers that have a time. */
uint64_t board_answered_count(const struct board_answered *sum);

/* How long PART (0.95) of them took at most, in seconds, by the classes that they are counted in;
 * -1: there were none. */
double board_answered_quantile(const struct board_answered *sum, double part);

/* All that a slot counts up, for a sum over slots. */
#define BOARD_GONE_REASONS 24
struct board_total {
	struct board_answered answered;
	uint64_t bytes_in, bytes_out;
	uint64_t refusals[BOARD_GONE_REASONS];
};
void board_total_add(struct board_total *to, const struct board_total *from);

/* Of SLOT; nothing is added of one that was never used. */
void board_total_of(const struct board *board, uint32_t slot, struct board_total *total);

/* Of tenants that are gone: a place for each service, by name. The daemon's alone. */
#define BOARD_GONE_MAX 1024
struct board_gone {
	char service[68]; /* "": free */
	uint32_t reserved;
	struct board_total total;
};

/* SLOT's tenant, of SERVICE, is gone. When there is no place left, one of a service that
 * IS_DECLARED knows nothing of is taken; without any it is forgotten. */
void board_gone_add(struct board *board, uint32_t slot, const char *service,
	bool (*is_declared)(void *data, const char *service), void *data);

/* What is kept of SERVICE; NULL: nothing. */
const struct board_total *board_gone_find(const struct board *board, const char *service);

#endif
