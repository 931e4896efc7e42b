/*
 * What to do next about one tenant: a pure function of what is wanted and what is so. `ten diff`
 * prints what it returns and the reconciler runs it, so that the dry run cannot lie.
 */
#ifndef TEN_PLAN_H
#define TEN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "eviction.h"
#include "options.h"
#include "route_table.h"

/* What the files and overrides ask for. */
struct plan_want {
	bool declared;
	bool ending; /* tenement itself is: nothing is to have a process */
	enum tenant_state state;
	enum spec_restart restart;
	uint64_t restart_hash;
	uint64_t live_hash;
	bool sleeps;  /* it is stopped when it was idle for long enough */
	bool freezes; /* likewise frozen */
	bool awake;   /* these are hours in which it is kept ready */
};

enum plan_exit {
	PLAN_EXIT_NONE, /* its process lives, or there is none */
	PLAN_EXIT_CLEAN,
	PLAN_EXIT_FAILED,
};

/* What is so, and what has happened since the last look. */
struct plan_have {
	enum instance_state state;
	bool known;            /* it is in the routing table */
	bool process;          /* it has one (an ended one counts until it was dealt with) */
	uint64_t restart_hash; /* of what the process was started from */
	bool secrets_changed;  /* since it was started, or failed */
	uint64_t live_hash;    /* of what was published last */
	enum plan_exit exit;
	bool ready;        /* the process is ready to serve */
	bool unhealthy;    /* health checks failed too often in a row */
	bool wanted_awake; /* a request waits for it, or the operator said start */
	bool told_to_stop; /* the operator said stop: once */
	bool told_to_restart;
	bool idle;          /* for long enough to be stopped */
	bool idle_freeze;   /* for long enough to be frozen */
	bool in_flight;     /* a request is */
	bool in_use;        /* a request is in flight, or an upgraded connection that counts */
	bool time_is_up;    /* of the present state: start-up, drain, stop, backoff */
	bool again;         /* it is being stopped in order to be started again */
	bool draining_idle; /* it is being drained because it was idle */
	bool failed_start;  /* what is being stopped never became ready in time */
	bool may_start;     /* it is its turn, and there is room */
	bool unasked;       /* whoever asked for it, while it waited for room, is gone */
	enum eviction_way eviction; /* it is to make room for another */
	const char *eviction_why;   /* for people */
	bool may_roll;              /* its service's changed template may restart one more now */
	bool restarts_used_up;
	bool cooled_down; /* what was given up may be tried once more */
	bool killed;      /* SIGKILL was sent already */
};

enum plan_action {
	PLAN_NOTHING,
	PLAN_DECLARE, /* give it a slot and publish it */
	PLAN_REMOVE,  /* take it out of the routing table and forget it; its data stays */
	PLAN_UPDATE,  /* apply what changed without a restart */
	PLAN_REST,    /* no process: asleep, stopped or suspended, as wanted */
	PLAN_QUEUE,   /* wait for a turn to start */
	PLAN_START,
	PLAN_READY,
	PLAN_FREEZE,
	PLAN_THAW,
	PLAN_UNDRAIN, /* serve again: a request came before it was stopped */
	PLAN_DRAIN,
	PLAN_STOP,
	PLAN_KILL,
	PLAN_BACKOFF,
	PLAN_FAIL,
	PLAN_ACTIONS
};
extern const char *const plan_action_names[PLAN_ACTIONS];

struct plan_step {
	enum plan_action action;
	const char *why; /* for people; eviction_why, or static */
	bool again;      /* with DRAIN and STOP: in order to be started again */
	bool idle;       /* with DRAIN: because it was idle */
	bool rolling;    /* with DRAIN: because its template or file changed */
};

/* What files and people call the states that a tenant is declared to be in. */
extern const char *const tenant_state_names[TENANT_SUSPENDED + 1];

struct plan_step plan_next(const struct plan_want *want, const struct plan_have *have);

/* The state in which WANT has no process. */
enum instance_state plan_rest_state(const struct plan_want *want);

#endif
