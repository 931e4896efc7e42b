/* Tables of (wanted, so) -> what is to be done next. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/* Defaults first, then what a row says otherwise. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* Hashes: 1 is what is wanted, 2 is something else. */
#define WANT(...)                                                                                  \
	{                                                                                          \
		.declared = true, .restart_hash = 1, .live_hash = 1, .sleeps = true, __VA_ARGS__   \
	}
#define HAVE(...)                                                                                  \
	{                                                                                          \
		.known = true, .restart_hash = 1, .live_hash = 1, .may_start = true,               \
		.may_roll = true, __VA_ARGS__                                                      \
	}
#define RUNS(...) HAVE(.process = true, .eviction_why = "making room", __VA_ARGS__)

#define FREEZES      WANT(.freezes = true)
#define ONLY_FREEZES WANT(.freezes = true, .sleeps = false)
#define ON_DEMAND    WANT(.state = TENANT_ON_DEMAND, .restart = RESTART_ON_FAILURE)
#define RUNNING      WANT(.state = TENANT_RUNNING, .restart = RESTART_ON_FAILURE)
#define STOPPED      WANT(.state = TENANT_STOPPED)
#define SUSPENDED    WANT(.state = TENANT_SUSPENDED)
#define AWAKE                                                                                      \
	WANT(.state = TENANT_ON_DEMAND, .restart = RESTART_ON_FAILURE, .awake = true,              \
		.freezes = true)
#define ALWAYS        WANT(.restart = RESTART_ALWAYS)
#define NEVER         WANT(.restart = RESTART_NEVER)
#define NEVER_RUNNING WANT(.restart = RESTART_NEVER, .state = TENANT_RUNNING)
#define NO_SLEEP                                                                                   \
	{                                                                                          \
		.declared = true, .restart_hash = 1, .live_hash = 1                                \
	}
#define NOTHING                                                                                    \
	{                                                                                          \
		0                                                                                  \
	} /* not declared */
#define ENDING WANT(.ending = true, .state = TENANT_RUNNING)

#define AGAIN   1
#define IDLE    2
#define ROLLING 4

struct row {
	struct plan_want want;
	struct plan_have have;
	enum plan_action action;
	int with; /* AGAIN, IDLE, ROLLING */
};

static const struct row unknown[] = {
	{ ON_DEMAND, { 0 }, PLAN_DECLARE, 0 },
	{ RUNNING, { 0 }, PLAN_DECLARE, 0 },
	{ STOPPED, { 0 }, PLAN_DECLARE, 0 },
	{ SUSPENDED, { 0 }, PLAN_DECLARE, 0 },
	{ NOTHING, { 0 }, PLAN_NOTHING, 0 },
	{ ENDING, { 0 }, PLAN_NOTHING, 0 },
};

static const struct row at_rest[] = {
	{ ON_DEMAND, HAVE(.state = INSTANCE_ASLEEP), PLAN_NOTHING, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_STOPPED), PLAN_NOTHING, 0 },
	{ SUSPENDED, HAVE(.state = INSTANCE_SUSPENDED), PLAN_NOTHING, 0 },
	{ NOTHING, HAVE(.state = INSTANCE_ASLEEP), PLAN_REMOVE, 0 },
	{ NOTHING, HAVE(.state = INSTANCE_STOPPED, .live_hash = 2), PLAN_REMOVE, 0 },
	{ NOTHING, HAVE(.state = INSTANCE_SUSPENDED, .wanted_awake = true), PLAN_REMOVE, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_ASLEEP, .live_hash = 2), PLAN_UPDATE, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_ASLEEP, .restart_hash = 2), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_STOPPED), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_SUSPENDED, .wanted_awake = true), PLAN_REST, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_ASLEEP), PLAN_REST, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_SUSPENDED), PLAN_REST, 0 },
	{ SUSPENDED, HAVE(.state = INSTANCE_ASLEEP, .wanted_awake = true), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_ASLEEP, .wanted_awake = true), PLAN_START, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_ASLEEP, .wanted_awake = true, .may_start = false),
		PLAN_QUEUE, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_ASLEEP, .wanted_awake = true, .told_to_stop = true),
		PLAN_NOTHING, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_ASLEEP), PLAN_START, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_ASLEEP, .may_start = false), PLAN_QUEUE, 0 },
	{ AWAKE, HAVE(.state = INSTANCE_ASLEEP), PLAN_START, 0 },
	{ AWAKE, HAVE(.state = INSTANCE_ASLEEP, .may_start = false), PLAN_QUEUE, 0 },
	{ AWAKE, HAVE(.state = INSTANCE_ASLEEP, .told_to_stop = true), PLAN_NOTHING, 0 },
	{ WANT(.state = TENANT_STOPPED, .awake = true), HAVE(.state = INSTANCE_STOPPED),
		PLAN_NOTHING, 0 },
	{ WANT(.state = TENANT_SUSPENDED, .awake = true), HAVE(.state = INSTANCE_SUSPENDED),
		PLAN_NOTHING, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_STOPPED), PLAN_REST, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_STOPPED, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ SUSPENDED, HAVE(.state = INSTANCE_SUSPENDED, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ ENDING, HAVE(.state = INSTANCE_ASLEEP, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ ENDING, HAVE(.state = INSTANCE_ASLEEP, .live_hash = 2), PLAN_NOTHING, 0 },
};

/* Waiting for a turn to start, no process yet. */
static const struct row queued[] = {
	{ ON_DEMAND, HAVE(.state = INSTANCE_STARTING, .may_start = false), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_STARTING, .may_start = false, .unasked = true),
		PLAN_REST, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_STARTING, .may_start = false, .unasked = true),
		PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_STARTING), PLAN_START, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_STARTING), PLAN_START, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_STARTING, .live_hash = 2), PLAN_UPDATE, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_STARTING, .told_to_stop = true), PLAN_REST, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_STARTING), PLAN_REST, 0 },
	{ SUSPENDED, HAVE(.state = INSTANCE_STARTING), PLAN_REST, 0 },
	{ NOTHING, HAVE(.state = INSTANCE_STARTING), PLAN_REST, 0 },
	{ ENDING, HAVE(.state = INSTANCE_STARTING), PLAN_REST, 0 },
};

static const struct row starting[] = {
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .ready = true), PLAN_READY, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .ready = true, .time_is_up = true),
		PLAN_READY, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .time_is_up = true), PLAN_STOP, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .live_hash = 2), PLAN_UPDATE, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .secrets_changed = true), PLAN_STOP, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .restart_hash = 2), PLAN_STOP, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .restart_hash = 2, .may_roll = false),
		PLAN_STOP, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .told_to_restart = true), PLAN_STOP, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .told_to_stop = true), PLAN_STOP, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_STARTING, .ready = true), PLAN_STOP, 0 },
	{ SUSPENDED, RUNS(.state = INSTANCE_STARTING), PLAN_STOP, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_STARTING), PLAN_STOP, 0 },
	{ ENDING, RUNS(.state = INSTANCE_STARTING), PLAN_STOP, 0 },
	/* It dies before it is ready: a clean exit is a failure here. */
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_FAILED), PLAN_BACKOFF, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_CLEAN), PLAN_BACKOFF, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_FAILED, .ready = true),
		PLAN_BACKOFF, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_FAILED,
			.restarts_used_up = true),
		PLAN_FAIL, 0 },
	{ NEVER, RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_FAILED), PLAN_FAIL, 0 },
	{ NEVER_RUNNING, RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_FAILED), PLAN_FAIL, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_STARTING, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
};

static const struct row ready[] = {
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY), PLAN_NOTHING, 0 },
	{ RUNNING, RUNS(.state = INSTANCE_READY, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .idle = true), PLAN_DRAIN, IDLE },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .idle = true, .in_use = true), PLAN_NOTHING, 0 },
	{ RUNNING, RUNS(.state = INSTANCE_READY, .idle = true), PLAN_NOTHING, 0 },
	{ NO_SLEEP, RUNS(.state = INSTANCE_READY, .idle = true), PLAN_NOTHING, 0 },
	/* It makes room. */
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_STOP), PLAN_DRAIN, IDLE },
	{ NO_SLEEP, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_STOP), PLAN_DRAIN, IDLE },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_STOP, .in_use = true),
		PLAN_NOTHING, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_READY, .eviction = EVICTION_STOP, .in_flight = true,
			.in_use = true),
		PLAN_NOTHING, 0 },
	{ RUNNING, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_STOP), PLAN_NOTHING, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_FREEZE), PLAN_FREEZE, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_FREEZE, .in_use = true),
		PLAN_FREEZE, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_FREEZE, .in_flight = true),
		PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .eviction = EVICTION_FREEZE), PLAN_DRAIN, IDLE },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .live_hash = 2), PLAN_UPDATE, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .live_hash = 2, .restart_hash = 2), PLAN_UPDATE,
		0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .restart_hash = 2), PLAN_DRAIN,
		AGAIN | ROLLING },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .secrets_changed = true), PLAN_DRAIN,
		AGAIN | ROLLING },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .restart_hash = 2, .in_use = true), PLAN_DRAIN,
		AGAIN | ROLLING },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .restart_hash = 2, .may_roll = false),
		PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .secrets_changed = true, .may_roll = false),
		PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .told_to_restart = true), PLAN_DRAIN, AGAIN },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_READY, .told_to_restart = true, .restart_hash = 2,
			.may_roll = false),
		PLAN_DRAIN, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .told_to_stop = true, .in_use = true),
		PLAN_DRAIN, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .told_to_stop = true, .told_to_restart = true),
		PLAN_DRAIN, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .unhealthy = true), PLAN_DRAIN, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .failed_start = true), PLAN_STOP, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_READY, .failed_start = true), PLAN_DRAIN, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_READY), PLAN_DRAIN, 0 },
	{ SUSPENDED, RUNS(.state = INSTANCE_READY, .in_use = true), PLAN_DRAIN, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_READY), PLAN_DRAIN, 0 },
	{ ENDING, RUNS(.state = INSTANCE_READY), PLAN_DRAIN, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_READY, .told_to_restart = true), PLAN_DRAIN, 0 },
	/* Frozen before it is stopped; open connections are no reason against it. */
	{ FREEZES, RUNS(.state = INSTANCE_READY, .idle_freeze = true), PLAN_FREEZE, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .idle_freeze = true, .in_use = true), PLAN_FREEZE,
		0 },
	{ FREEZES,
		RUNS(.state = INSTANCE_READY, .idle_freeze = true, .in_use = true,
			.in_flight = true),
		PLAN_NOTHING, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .idle_freeze = true, .idle = true), PLAN_DRAIN,
		IDLE },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .idle_freeze = true, .idle = true, .in_use = true),
		PLAN_FREEZE, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_READY, .idle_freeze = true, .restart_hash = 2),
		PLAN_DRAIN, AGAIN | ROLLING },
	{ FREEZES,
		RUNS(.state = INSTANCE_READY, .idle_freeze = true, .restart_hash = 2,
			.may_roll = false),
		PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .idle_freeze = true), PLAN_NOTHING, 0 },
	{ WANT(.freezes = true, .state = TENANT_RUNNING),
		RUNS(.state = INSTANCE_READY, .idle_freeze = true), PLAN_NOTHING, 0 },
	/* These are hours in which it is kept ready. */
	{ AWAKE, RUNS(.state = INSTANCE_READY, .idle = true, .idle_freeze = true), PLAN_NOTHING,
		0 },
	{ AWAKE, RUNS(.state = INSTANCE_READY, .told_to_stop = true), PLAN_DRAIN, 0 },
	{ WANT(.state = TENANT_SUSPENDED, .awake = true), RUNS(.state = INSTANCE_READY), PLAN_DRAIN,
		0 },
	{ AWAKE, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_BACKOFF, 0 },
	{ AWAKE, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED, .restarts_used_up = true),
		PLAN_FAIL, 0 },
	{ WANT(.restart = RESTART_NEVER, .awake = true),
		RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_REST, 0 },
	/* It ended by itself: what its policy says. */
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_REST, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED), PLAN_BACKOFF, 0 },
	{ RUNNING, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_BACKOFF, 0 },
	{ ALWAYS, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_BACKOFF, 0 },
	{ ALWAYS, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED), PLAN_BACKOFF, 0 },
	{ ALWAYS, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED, .restarts_used_up = true),
		PLAN_FAIL, 0 },
	{ NEVER, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
	{ NEVER, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_REST, 0 },
	{ NEVER_RUNNING, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_CLEAN), PLAN_FAIL, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
	{ ALWAYS, RUNS(.state = INSTANCE_READY, .exit = PLAN_EXIT_FAILED, .told_to_stop = true),
		PLAN_REST, 0 },
};

static const struct row frozen[] = {
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN), PLAN_NOTHING, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .in_use = true), PLAN_NOTHING, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .eviction = EVICTION_STOP), PLAN_DRAIN, IDLE },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .eviction = EVICTION_STOP, .in_use = true),
		PLAN_NOTHING, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .eviction = EVICTION_STOP, .wanted_awake = true),
		PLAN_THAW, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .wanted_awake = true), PLAN_THAW, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .in_flight = true, .in_use = true), PLAN_THAW,
		0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .wanted_awake = true, .idle = true), PLAN_THAW,
		0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .idle = true), PLAN_DRAIN, IDLE },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .idle = true, .in_use = true), PLAN_NOTHING, 0 },
	{ ONLY_FREEZES, RUNS(.state = INSTANCE_FROZEN, .idle = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_FROZEN), PLAN_THAW, 0 },
	{ WANT(.freezes = true, .state = TENANT_RUNNING), RUNS(.state = INSTANCE_FROZEN), PLAN_THAW,
		0 },
	{ AWAKE, RUNS(.state = INSTANCE_FROZEN, .idle = true), PLAN_THAW, 0 },
	{ AWAKE, RUNS(.state = INSTANCE_FROZEN, .exit = PLAN_EXIT_FAILED), PLAN_BACKOFF, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .live_hash = 2), PLAN_UPDATE, 0 },
	/* What is changed about it is no reason to run. */
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .secrets_changed = true), PLAN_DRAIN, IDLE },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .restart_hash = 2), PLAN_DRAIN, IDLE },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .restart_hash = 2, .may_roll = false), PLAN_DRAIN,
		IDLE },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .restart_hash = 2, .in_use = true), PLAN_THAW,
		0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .restart_hash = 2, .wanted_awake = true),
		PLAN_THAW, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .told_to_restart = true), PLAN_DRAIN, AGAIN },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .told_to_stop = true, .wanted_awake = true),
		PLAN_DRAIN, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_FROZEN, .wanted_awake = true), PLAN_DRAIN, 0 },
	{ SUSPENDED, RUNS(.state = INSTANCE_FROZEN), PLAN_DRAIN, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_FROZEN), PLAN_DRAIN, 0 },
	{ ENDING, RUNS(.state = INSTANCE_FROZEN), PLAN_DRAIN, 0 },
	/* Nobody wants it: there is nothing to be mended. */
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
	{ FREEZES, RUNS(.state = INSTANCE_FROZEN, .exit = PLAN_EXIT_FAILED, .wanted_awake = true),
		PLAN_BACKOFF, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_FROZEN, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
};

static const struct row draining[] = {
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING), PLAN_STOP, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .again = true), PLAN_STOP, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .in_use = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .in_use = true, .time_is_up = true),
		PLAN_STOP, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_DRAINING, .in_use = true, .time_is_up = true, .again = true),
		PLAN_STOP, AGAIN },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .wanted_awake = true), PLAN_STOP, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .draining_idle = true), PLAN_STOP, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .draining_idle = true, .wanted_awake = true),
		PLAN_UNDRAIN, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .draining_idle = true, .in_use = true),
		PLAN_UNDRAIN, 0 },
	{ AWAKE, RUNS(.state = INSTANCE_DRAINING, .draining_idle = true), PLAN_UNDRAIN, 0 },
	{ AWAKE, RUNS(.state = INSTANCE_DRAINING), PLAN_STOP, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_DRAINING, .draining_idle = true, .wanted_awake = true),
		PLAN_STOP, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_DRAINING, .draining_idle = true, .in_use = true),
		PLAN_NOTHING, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_DRAINING, .in_use = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_DRAINING, .exit = PLAN_EXIT_FAILED), PLAN_REST, 0 },
	/* It was unhealthy, and died of it before it was told to end: that is a failure. */
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_DRAINING, .exit = PLAN_EXIT_FAILED, .unhealthy = true,
			.again = true),
		PLAN_BACKOFF, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_DRAINING, .exit = PLAN_EXIT_FAILED, .unhealthy = true,
			.again = true, .restarts_used_up = true),
		PLAN_FAIL, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_DRAINING, .exit = PLAN_EXIT_FAILED, .unhealthy = true),
		PLAN_REST, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_DRAINING, .exit = PLAN_EXIT_CLEAN, .draining_idle = true,
			.wanted_awake = true),
		PLAN_REST, 0 },
};

static const struct row stopping[] = {
	{ ON_DEMAND, RUNS(.state = INSTANCE_STOPPING), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STOPPING, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STOPPING, .time_is_up = true), PLAN_KILL, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STOPPING, .time_is_up = true, .killed = true),
		PLAN_NOTHING, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_STOPPING, .time_is_up = true), PLAN_KILL, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN), PLAN_REST, 0 },
	{ ON_DEMAND, RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_FAILED, .killed = true),
		PLAN_REST, 0 },
	{ RUNNING, RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_FAILED, .again = true),
		PLAN_REST, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .failed_start = true),
		PLAN_BACKOFF, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .failed_start = true,
			.restarts_used_up = true),
		PLAN_FAIL, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .failed_start = true,
			.told_to_stop = true),
		PLAN_REST, 0 },
	{ STOPPED, RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .failed_start = true),
		PLAN_REST, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .unhealthy = true,
			.again = true),
		PLAN_BACKOFF, 0 },
	{ ON_DEMAND,
		RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .unhealthy = true,
			.restarts_used_up = true),
		PLAN_FAIL, 0 },
	{ NOTHING, RUNS(.state = INSTANCE_STOPPING, .exit = PLAN_EXIT_CLEAN, .unhealthy = true),
		PLAN_REST, 0 },
};

static const struct row backing_off[] = {
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .time_is_up = true), PLAN_START, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .time_is_up = true, .may_start = false),
		PLAN_QUEUE, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .live_hash = 2), PLAN_UPDATE, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .secrets_changed = true), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .restart_hash = 2), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .told_to_restart = true), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_BACKOFF, .told_to_stop = true), PLAN_REST, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_BACKOFF, .time_is_up = true), PLAN_REST, 0 },
	{ NOTHING, HAVE(.state = INSTANCE_BACKOFF), PLAN_REST, 0 },
	{ ENDING, HAVE(.state = INSTANCE_BACKOFF, .time_is_up = true), PLAN_REST, 0 },
};

static const struct row failed[] = {
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED), PLAN_NOTHING, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_FAILED, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_FAILED, .time_is_up = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .wanted_awake = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .cooled_down = true), PLAN_NOTHING, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .cooled_down = true, .wanted_awake = true),
		PLAN_START, 0 },
	{ ON_DEMAND,
		HAVE(.state = INSTANCE_FAILED, .cooled_down = true, .wanted_awake = true,
			.may_start = false),
		PLAN_QUEUE, 0 },
	{ RUNNING, HAVE(.state = INSTANCE_FAILED, .cooled_down = true), PLAN_START, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_FAILED, .cooled_down = true, .wanted_awake = true),
		PLAN_REST, 0 },
	{ ENDING, HAVE(.state = INSTANCE_FAILED, .cooled_down = true), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .secrets_changed = true), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .restart_hash = 2), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .told_to_restart = true), PLAN_REST, 0 },
	{ ON_DEMAND, HAVE(.state = INSTANCE_FAILED, .live_hash = 2), PLAN_UPDATE, 0 },
	{ STOPPED, HAVE(.state = INSTANCE_FAILED), PLAN_REST, 0 },
	{ SUSPENDED, HAVE(.state = INSTANCE_FAILED), PLAN_REST, 0 },
	{ NOTHING, HAVE(.state = INSTANCE_FAILED), PLAN_REST, 0 },
	{ ENDING, HAVE(.state = INSTANCE_FAILED), PLAN_REST, 0 },
};

static void check_row(const struct row *row)
{
	struct plan_step step = plan_next(&row->want, &row->have);

	ck_assert_msg(step.action == row->action, "%s, not %s", plan_action_names[step.action],
		plan_action_names[row->action]);
	ck_assert_int_eq(step.again, (row->with & AGAIN) != 0);
	ck_assert_int_eq(step.idle, (row->with & IDLE) != 0);
	ck_assert_int_eq(step.rolling, (row->with & ROLLING) != 0);
	/* Who reads `ten diff` or the log is told why. */
	if (step.action != PLAN_NOTHING)
		ck_assert_ptr_nonnull(step.why);
}

#define TABLE(name)                                                                                \
	START_TEST(test_##name)                                                                    \
	{                                                                                          \
		check_row(&name[_i]);                                                              \
	}                                                                                          \
	END_TEST
#define ADD(name) tcase_add_loop_test(tests, test_##name, 0, sizeof(name) / sizeof(name[0]))

TABLE(unknown)
TABLE(at_rest)
TABLE(queued)
TABLE(starting)
TABLE(ready)
TABLE(frozen)
TABLE(draining)
TABLE(stopping)
TABLE(backing_off)
TABLE(failed)

START_TEST(rest_state)
{
	static const struct plan_want wants[] = { ON_DEMAND, RUNNING, STOPPED, SUSPENDED, NOTHING };
	static const enum instance_state states[] = { INSTANCE_ASLEEP, INSTANCE_ASLEEP,
		INSTANCE_STOPPED, INSTANCE_SUSPENDED, INSTANCE_ASLEEP };

	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		ck_assert_int_eq(plan_rest_state(&wants[i]), states[i]);
}
END_TEST

START_TEST(names)
{
	for (int i = 0; i < PLAN_ACTIONS; i++) {
		ck_assert_ptr_nonnull(plan_action_names[i]);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(plan_action_names[i], plan_action_names[j]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tests = tcase_create("plan");
	SRunner *runner = srunner_create(suite);
	int bad;

	ADD(unknown);
	ADD(at_rest);
	ADD(queued);
	ADD(starting);
	ADD(ready);
	ADD(frozen);
	ADD(draining);
	ADD(stopping);
	ADD(backing_off);
	ADD(failed);
	tcase_add_test(tests, rest_state);
	tcase_add_test(tests, names);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
