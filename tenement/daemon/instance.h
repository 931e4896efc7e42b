/*
 * One tenant as it is: what is wanted of it, its state, and its process while it has one.
 */
#ifndef TEN_INSTANCE_H
#define TEN_INSTANCE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "daemon/daemon.h"
#include "plan.h"

struct readiness;
struct health;
struct activation;
struct activation_boot;
struct rollout_trial;
struct instance_secrets;
struct nl_sock;
struct usage_meter;
struct usage_tenant;

/* Its network, see network.h. */
struct run_network {
	enum spec_network kind;
	uint32_t index;         /* private: its place in private_range */
	uint32_t address;       /* there, host order; 0: none */
	int64_t bandwidth_mbit; /* as it is in force */
	bool egress;            /* it has a chain of its own */
	struct nl_sock *diag;
};
struct cgroup_limits;

/* A process of a tenant. */
struct run {
	/* how it was started */
	char *key; /* of its instance */
	const struct ten_spec *spec;
	uint64_t restart_hash;
	uint32_t uid, gid; /* BECOME_KEEP: as we are */
	uint16_t port;
	char *socket_path;
	int freezer_fd; /* while it is frozen, see freeze.h; -1: not */
	char *cgroup;   /* name of its group; NULL: it has none, see cgroup.h */
	double started; /* daemon_now() */
	/* see secrets.h */
	uint64_t secrets_stamp; /* what the files of its secrets were; 0: it has none */
	bool has_credentials;
	/* what the world made of it */
	pid_t pid; /* of tenement-init where there is one */
	bool init;
	enum spec_isolation level;
	uint64_t start_time; /* of the pid: see common/process.h */
	bool by_socket;      /* which of the two answered */
	bool ready;
	double ready_since;
	double hold_until; /* what it said itself, see hold.h; 0: nothing */
	enum plan_exit exit;
	bool exited_normally;
	int exit_status; /* or signal */
	bool killed;
	bool stopping;     /* was told to end */
	bool inherited;    /* from an earlier life of the daemon */
	bool unknown;      /* taken over: its spec is of neither template, see rollout.h */
	int failed_fd;     /* see spawn_problem(); -1: none */
	bool reads_only;   /* it cannot write to its folders, see storage_mode.h */
	bool mode_changes; /* that is being changed */
	bool mode_known;   /* of one that was taken over */
	struct readiness *readiness; /* while it is awaited */
	struct health *health;
	/* what it uses, see budget.h */
	uint64_t memory, memory_counted, memory_expected; /* bytes; 0: not known */
	double memory_at;                                 /* it was measured */
	bool counted;                                     /* among those that start */
	struct run_network network;
	struct cgroup_limits *limits; /* in force, see limits.h; NULL: not known */
	char *limits_problem;         /* why others are not; NULL: they are */
	uint64_t oom_kills;           /* of its group that are known, see oom.h */
	bool oom_known;               /* of one that was taken over: by its record */
	double oom_at;                /* the last that was seen; 0: none */
	char *oom_limit;              /* by which limit, for people */
	struct usage_meter *meter;    /* see usage.h; NULL: it has not begun */
	struct activation_boot *boot; /* while it has taken nothing from its socket yet */
	UT_hash_handle by_pid;
};

struct instance {
	/* what is wanted */
	char *key;
	const struct ten_spec *spec; /* NULL: no longer declared */
	enum tenant_state wanted_state;
	uint32_t wanted_weight;
	uint64_t wanted_live_hash; /* with overrides */

	/* what is so */
	bool known; /* has a slot */
	bool used;  /* and was asked for: of one that slept ever since it was declared not even a
		       page of the board is there, and none is to come by reading */
	struct route_target target;
	enum instance_state state;
	double state_since;
	const struct ten_spec *published; /* whose host names are in the table */
	uint64_t live_hash;
	uint64_t log_bounds_hash; /* of what the log writer was told; 0: nothing */
	struct run *run;
	struct activation *activation; /* its socket, where that is ours: see daemon/activation.h */
	bool checks_left;              /* health checks may wait in that */
	char *reason; /* why it is in this state, for people; NULL: nothing to say */

	/* news since the last look */
	bool wanted_awake, told_to_stop, told_to_restart;
	bool idle, idle_freeze, time_is_up, unhealthy;

	bool only_asked; /* nothing but requests wants it awake */

	/* what it makes room for, or has to wait for room with: see budget.h */
	enum eviction_way eviction; /* it is asked to go */
	int eviction_bound;         /* because of this one: enum budget_bound */
	char *eviction_why;
	uint64_t memory_last; /* of its process before: bytes; 0: not known */
	double held_seen;
	bool freeze_failed;
	uint64_t requests_before; /* it was ready the last time */
	uint32_t lonely_looks;
	bool unasked;

	/* what woke it: of the next time, and of the last; static, for people */
	const char *wake_cause, *woken_by;
	double woken_at;

	/* memory of the present way down */
	bool again, draining_idle, failed_start;

	/* of a changed template, see rollout.h */
	bool rolling;     /* it is being tried on the new one */
	bool restarting;  /* for a change of its own */
	bool on_new;      /* its turn came */
	bool had_failed;  /* before it was tried */
	bool roll_failed; /* and it did not go well */
	struct rollout_trial *trial;
	const struct ten_spec *held;     /* by the template before; made for .held_for */
	const struct ten_spec *held_for; /* NULL: not made */

	/* of its latest start, CLOCK_MONOTONIC; 0: not so, or taken note of: see wake_times.h */
	uint64_t wanted_us, turn_us, spawned_us, ready_us;

	/* see failures.h */
	double *failures; /* when it failed, within restart_window; the oldest first */
	size_t failure_count;
	uint32_t restarts;
	double failed_since;         /* 0: it is not FAILED */
	double next_try;             /* 0: it is not in BACKOFF */
	bool on_trial;               /* one more failure and it is FAILED again */
	double trial_until;          /* 0: it was not ready yet */
	bool exit_seen, exit_normal; /* how its last process ended */
	int exit_status;             /* or signal; less than 0: nobody saw it */
	unsigned shortages; /* so often in a row it could not be started for want of something */
	/* since the daemon started */
	uint64_t starts, freezes, times_failed;
	uint64_t wakes;     /* from its sleep */
	uint64_t oom_kills; /* see oom.h */
	double drain_deadline;
	uint64_t failed_hash; /* of what failed: failures_blame() */

	struct instance_secrets *secrets; /* that are watched; NULL: none, see secret_watch.h */
	uint64_t failed_secrets;          /* what they were when it failed */

	struct schedule *schedule; /* NULL: it has no hours and is not woken; see schedule.h */
	TAILQ_ENTRY(instance) scheduled;
	int64_t wake_due;      /* the time of the clock that it is still to be woken for; 0: none */
	int64_t hours_skipped; /* when it was put to rest within its hours, 0: it was not */

	struct usage_tenant *usage; /* NULL: it has not been in use, see usage.h */

	ev_timer timer; /* of the present state */
	bool in_dirty, queued, record_due, reclaiming;
	bool unhurried; /* queued behind those that somebody waits for */
	struct instance *next_dirty;
	TAILQ_ENTRY(instance) due;     /* of those whose record is to be written */
	TAILQ_ENTRY(instance) reclaim; /* likewise whose memory is to be handed back */
	TAILQ_ENTRY(instance) queue;   /* of those that wait for their turn to start */
	uint64_t round;                /* its place there, among those of */
	int64_t queue_priority;
	double queued_at;
	UT_hash_handle hh;
};

struct instance *instance_find(struct daemon *d, const char *key);
struct instance *instance_get(struct daemon *d, const char *key); /* made when not there */
void instance_free(struct daemon *d, struct instance *instance);

/* There is news: it is looked at when the loop turns. */
void instance_mark(struct daemon *d, struct instance *instance);

/* Somebody wants it up: CAUSE says who, for people (static). */
void instance_wake(struct daemon *d, struct instance *instance, const char *cause);
/* It was woken. */
void instance_woken(struct instance *instance);

/* The one place where a state changes: checked, published, logged. WHY may be NULL. */
void instance_set_state(
	struct daemon *d, struct instance *instance, enum instance_state state, const char *why);
void instance_set_reason(struct instance *instance, char *reason); /* takes it */

/* Start the timer of the present state; when it fires time_is_up is set. */
void instance_arm(struct daemon *d, struct instance *instance, double seconds);

/* The same, until it will have been idle for long enough for the next step of its ladder. */
void instance_arm_sleep(struct daemon *d, struct instance *instance);

/* For how many seconds it has done nothing; less than 0: it is held for so long. */
double instance_idle_for(struct daemon *d, const struct instance *instance);

/* What the proxy says of it. */
/* Whether it may have something on the board. */
bool instance_is_used(const struct daemon *d, const struct instance *instance);
void instance_use(struct daemon *d, const struct instance *instance, struct board_use *use);
bool instance_in_flight(struct daemon *d, const struct instance *instance); /* a request is */
/* Whether it is in use; upgraded connections count unless its spec ignores them. */
bool instance_in_use(struct daemon *d, const struct instance *instance);

/* From here on an exit of RUN's pid is known to be its. */
void run_register(struct daemon *d, struct run *run);

/* Forget a process: its record, its streams and its port. It must have ended. */
void run_free(struct daemon *d, struct run *run);

#endif
