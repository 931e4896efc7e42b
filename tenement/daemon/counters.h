/*
 * What the daemon itself counts for GET /metrics, by service: it begins anew with each daemon, and
 * goes on when tenants go.
 */
#ifndef TEN_COUNTERS_H
#define TEN_COUNTERS_H

#include "board_answers.h"
#include "daemon/instance.h"

enum counter {
	COUNTER_STARTS,
	COUNTER_FREEZES,
	COUNTER_RESTARTS,
	COUNTER_FAILURES,
	COUNTER_OOM_KILLS,
	COUNTERS
};
void counters_add(const struct instance *instance, enum counter counter, uint64_t more);

/* Why a tenant was started or thawed. */
enum wake_cause {
	WAKE_REQUEST,
	WAKE_SOCKET, /* a connection to what is activated by it */
	WAKE_COMMAND,
	WAKE_CLOCK,    /* wake_at, awake */
	WAKE_DECLARED, /* it is to be running */
	WAKE_RESTART,
	WAKE_CAUSES
};
extern const char *const wake_cause_names[WAKE_CAUSES];
/* .woken_by has just been set. */
void counters_woken(const struct instance *instance);

/* INSTANCE is no longer declared: what it used stays its service's. */
void counters_left(const struct instance *instance);

struct service_counters {
	uint64_t counts[COUNTERS];
	uint64_t wakes[WAKE_CAUSES];
	uint64_t cpu_usec; /* of tenants that are gone */
};
void counters_of(const char *service, struct service_counters *counters);

/* ---- the reconciler ---- */

/* A turn in which there was something to do took so long; a step of it failed. */
void counters_turn(uint64_t took_us);
void counters_step_failed(void);

#define COUNTERS_TURN_TIMES 13
extern const double counters_turn_bounds[COUNTERS_TURN_TIMES - 1]; /* seconds */
struct reconcile_counters {
	uint64_t times[COUNTERS_TURN_TIMES];
	uint64_t took_us;
	uint64_t errors;
};
extern const struct reconcile_counters *const counters_reconcile;

/* ---- the API ---- */

/* It was answered with STATUS, what needs RIGHT (see endpoints.h). A token was brought that is
 * none.
 */
void counters_api(unsigned right, int status);
void counters_wrong_token(void);

#define COUNTERS_RIGHTS 9
struct api_counters {
	uint64_t answers[COUNTERS_RIGHTS][BOARD_CODES];
	uint64_t wrong_tokens;
};
extern const struct api_counters *const counters_of_api;

#endif
