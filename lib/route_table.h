/*
 * The routing table: shared memory that the daemon alone writes and every proxy worker maps
 * read-only.
 *
 * What it holds: per host name what it leads to (an instance, a weighted route, the root domain,
 * a service whose undeclared ids may be spawned), per instance slot where it is reached and its
 * bounds, per slot a state word, and the proxy's settings.
 *
 * How it changes: records are immutable. A change writes a new record and publishes it by one
 * atomic store of its offset, so a writer killed at any instruction leaves a whole table behind.
 * A reader takes no lock, makes no system call and allocates nothing. What was replaced is used
 * again only after every live worker has acknowledged a later generation (see board.h), so the
 * pointers in a view are good until the worker's next acknowledgement and no longer.
 *
 * A reader trusts no offset or length in the mapping: a table that is damaged or hostile gives
 * "not found", never an access outside of it.
 */
#ifndef TEN_ROUTE_TABLE_H
#define TEN_ROUTE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "wake_rules.h"

#define ROUTE_TABLE_VERSION 6
#define ROUTE_SLOTS_MAX     131072
#define ROUTE_HOST_MAX      253
#define ROUTE_SOCKET_MAX    107            /* sun_path less its NUL, unix(7) */
#define ROUTE_TABLE_BYTES   (512ull << 20) /* reserved, not used: memfd pages come when touched */
#define ROUTE_NO_UID        UINT32_MAX

/* The states of an instance. Names are in instance_state_names[]. */
enum instance_state {
	INSTANCE_ASLEEP,   /* no process; the next request wakes it */
	INSTANCE_STARTING, /* a process that is not ready yet, or waiting for its turn to start */
	INSTANCE_READY,    /* serves */
	INSTANCE_FROZEN,   /* has a process that is not scheduled */
	INSTANCE_DRAINING, /* finishes what is in flight; new requests wait for the next start */
	INSTANCE_STOPPING, /* has been told to end; new requests wait for the next start */
	INSTANCE_BACKOFF,  /* died and waits for its next try; requests wait for that */
	INSTANCE_FAILED, /* given up until .retry_at_ms, an operator or a change of its file; 503 */
	INSTANCE_STOPPED,   /* declared down; 503 */
	INSTANCE_SUSPENDED, /* declared down for the customer's own reasons; answers with its page
			     */
	INSTANCE_STATES
};
extern const char *const instance_state_names[INSTANCE_STATES];

struct route_table; /* one mapping, of a writer or of a reader */

/* ---- what a reader sees ---- */

enum route_kind {
	ROUTE_NONE,     /* nobody: 404 */
	ROUTE_INSTANCE, /* one instance: .target */
	ROUTE_WEIGHTED, /* pick one of .targets with route_pick() */
	ROUTE_ROOT,     /* the root domain: .paths, then .default_host, then 404 */
	ROUTE_SPAWN, /* stored as "*.service.domain": an undeclared id of .service may be asked for
		      */
	ROUTE_WAKE,  /* no host's: what route_table_wake() finds */
	ROUTE_KINDS
};

/* A slot and which of its successive owners is meant. A slot whose incarnation is another is
 * somebody else's by now: treat it as ROUTE_NONE and look the host up again. */
struct route_target {
	uint32_t slot;
	uint32_t incarnation;
};

struct route_weighted_target {
	struct route_target target;
	uint32_t weight;     /* after division by the gcd; 0 is never stored */
	uint32_t cumulative; /* sum of the weights up to and with this one */
	uint64_t tag;        /* by which a visitor names it; see sticky.h */
};

struct route_path {
	const char *prefix; /* "/api": matches "/api" and "/api/..." */
	const char *host;   /* the host name whose record serves it */
};

struct route_host {
	enum route_kind kind;
	struct route_target target;                  /* ROUTE_INSTANCE */
	const struct route_weighted_target *targets; /* ROUTE_WEIGHTED */
	uint32_t target_count;
	uint32_t counter;         /* ROUTE_WEIGHTED: index into board.picks */
	uint32_t sticky;          /* ROUTE_WEIGHTED: an enum sticky */
	const char *service;      /* ROUTE_SPAWN, ROUTE_WEIGHTED: its name */
	uint32_t path_count;      /* ROUTE_ROOT */
	const char *default_host; /* ROUTE_ROOT; NULL: none */
	const void *record;       /* for route_host_path() */
};

/* Where it is said which requests do not wake an instance. Most have it in common with all others
 * of their service. */
enum route_wake_of {
	ROUTE_WAKE_ANY,         /* nowhere: every request does */
	ROUTE_WAKE_OF_SERVICE,  /* under "#notes" */
	ROUTE_WAKE_OF_INSTANCE, /* under "#notes:alice" */
	ROUTE_WAKE_KINDS
};

struct route_wake {
	struct wake_rules rules; /* those that match do not */
	const char *health;      /* the path that is answered while it sleeps; NULL: none */
	uint32_t per_minute;     /* wakes of the service; 0: no bound */
	uint32_t counter;        /* its number among the board's service_wakes */
};

struct route_instance {
	struct route_target self;
	const char *name;        /* "notes:alice" */
	const char *socket_path; /* NULL: none published */
	uint16_t port;           /* 0: none published */
	uint32_t address;        /* where the port is: IPv4 in network order; 0: on 127.0.0.1 */
	uint32_t uid;            /* who must own the listening end of socket_path (SO_PEERCRED);
				    ROUTE_NO_UID: tenants share the daemon's uid, no check */
	uint32_t wake_queue;     /* requests that may wait while it is not ready */
	uint32_t wait_ms;        /* how long one may wait, then 504 */
	uint32_t request_timeout_ms;
	uint32_t stream_idle_timeout_ms;   /* 0: none */
	uint32_t upgraded_idle_timeout_ms; /* 0: none */
	uint64_t max_body_bytes;           /* 0: no bound; else 413 */
	uint32_t rate_interval_ns;         /* between two requests; 0: any number of them */
	uint32_t rate_burst;               /* of them at once */
	uint32_t max_concurrent;           /* requests in flight; 0: no bound */
	uint32_t queue_size;               /* requests that may wait for a place among those */
	uint32_t queue_timeout_ms;         /* how long one may */
	uint32_t max_connections;          /* of clients; 0: no bound */
	bool server_timing;                /* who was woken for it is told how long it took */
	bool ping_is_quiet;                /* a WebSocket's ping does not thaw it */
	uint32_t suspended_status;         /* 503 or 402; of one that is stopped 507: it is full */
	const char *suspended_page;        /* HTML, NUL-terminated; NULL: our own */
	uint32_t access_log;               /* an enum access_format */
	uint32_t log;                      /* where its lines go: bits of log_to.h */
	enum route_wake_of wake;
	uint64_t retry_at_ms; /* CLOCK_MONOTONIC: when one that FAILED may be woken
				 again; 0: only by an operator */
};

/* An error page of the operator's own. */
struct route_error_page {
	uint32_t status;
	const char *html;
};

/* The host, and the target, that the management API is published as: no Host is written so, and no
 * wake rules are called so ("#service", "#service:id"). */
#define ROUTE_API_HOST "##api"

#define ROUTE_CIDRS_MAX 64
struct route_cidr {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix;      /* of 128 */
};

struct route_settings {
	const char *domain; /* lower case */
	uint32_t max_header_bytes;
	uint32_t max_headers;
	uint32_t client_header_timeout_ms;
	uint32_t client_body_timeout_ms;
	uint32_t keepalive_timeout_ms;
	uint32_t max_connections_per_ip;      /* 0: no bound */
	uint32_t max_wakes_per_minute_per_ip; /* likewise */
	uint32_t upgrade_drain_timeout_ms;
	uint32_t trace; /* 0: no request is traced; else one more than the hundredths that are */
	const struct route_cidr *trusted_proxies;
	uint32_t trusted_proxy_count;
	uint32_t error_page_count;
	bool ready; /* the first reconcile is done: /health answers 200 */
	const void *record;
};

/* Map the table on FD read-only. Refuses another version or a shorter file, with a clear word. */
int route_table_open(struct route_table **table, int fd, struct ten_error *err);
void route_table_close(struct route_table *table);

/* The number of the last published change. A reader loads it before its look-ups and stores it in
 * its board page when it holds no view any more. */
uint64_t route_table_generation(const struct route_table *table);

/* Look up a host name: lower case, no port, no trailing dot. When NAME itself is unknown, returns
 * the "*.rest" record (ROUTE_SPAWN) if there is one, else kind ROUTE_NONE. */
void route_table_host(
	const struct route_table *table, const char *name, size_t len, struct route_host *host);

/* The I-th path of a ROUTE_ROOT, longest prefix first. False: the record is damaged. */
bool route_host_path(const struct route_table *table, const struct route_host *host, uint32_t i,
	struct route_path *path);

/* What TARGET is reached by. False: that incarnation is gone. */
bool route_table_instance(const struct route_table *table, struct route_target target,
	struct route_instance *instance);

/* What is said of waking INSTANCE; or of the undeclared instances of SERVICE. False: nothing. */
bool route_table_wake(const struct route_table *table, const struct route_instance *instance,
	struct route_wake *wake);
bool route_table_wake_of_service(
	const struct route_table *table, const char *service, struct route_wake *wake);

/* Of TARGET's record, the access log alone, which nearly always is 0. 0 as well: it is gone. */
uint32_t route_table_access_log(const struct route_table *table, struct route_target target);

/* Likewise where its lines go. False: it is gone. */
bool route_table_log(const struct route_table *table, struct route_target target, uint32_t *log);

/* The state of a slot, sequentially consistent: the pair of the fences that the daemon makes when
 * it drains (see board.h). False: that incarnation is gone. */
bool route_table_state(
	const struct route_table *table, struct route_target target, enum instance_state *state);

bool route_table_settings(const struct route_table *table, struct route_settings *settings);
bool route_settings_error_page(const struct route_table *table,
	const struct route_settings *settings, uint32_t status, struct route_error_page *page);

/* Which of the targets the TICKET-th request gets: over any sum(weights)/gcd consecutive tickets
 * each target is picked exactly its weight's number of times. */
struct route_target route_pick(const struct route_host *host, uint64_t ticket);

/* ---- what the one writer does ---- */

/* A new, empty table in a memfd sealed against resizing. *fd is the caller's, writable. */
int route_table_create(struct route_table **table, int *fd, struct ten_error *err);

/* Take over a table that an earlier writer left, whatever instruction it was killed at. */
int route_table_attach(struct route_table **table, int fd, struct ten_error *err);

/* The same memory by a descriptor that cannot be mapped writable. Returns it or -1. */
int route_table_reader_fd(int fd, struct ten_error *err);

/* Slots. taking one gives it a new incarnation; one that was given back is taken again only when
 * every worker has acknowledged that. */
int route_table_slot_take(
	struct route_table *table, struct route_target *target, struct ten_error *err);
void route_table_slot_give_back(struct route_table *table, struct route_target target);
void route_table_set_state(
	struct route_table *table, struct route_target target, enum instance_state state);

/* Each publishes with one store. They fail only when the table is full. INSTANCE's strings are
 * copied. */
int route_table_put_instance(
	struct route_table *table, const struct route_instance *instance, struct ten_error *err);

struct route_put { /* a host to publish; which fields count depends on .kind, as in route_host */
	enum route_kind kind;
	const char *name;
	const char *service;
	struct route_target target;
	const struct route_target *targets;
	const uint32_t *weights; /* of .targets; 0 is allowed and takes no traffic */
	const uint64_t *tags;    /* of .targets; NULL: all 0 */
	uint32_t target_count;
	uint32_t counter;
	uint32_t sticky;                /* an enum sticky */
	const struct route_path *paths; /* longest prefix first */
	uint32_t path_count;
	const char *default_host;
};
/* Publishing what is there already, byte by byte, changes nothing. */
int route_table_put_host(
	struct route_table *table, const struct route_put *put, struct ten_error *err);
void route_table_remove_host(struct route_table *table, const char *name);

/* NAME is of a service or of an instance, without the '#'; it is copied, and so is all of WAKE. */
int route_table_put_wake(struct route_table *table, const char *name, const struct route_wake *wake,
	struct ten_error *err);
void route_table_remove_wake(struct route_table *table, const char *name);

struct route_put_settings {
	struct route_settings base; /* counts and .record are ignored */
	const struct route_error_page *error_pages;
	uint32_t error_page_count;
};
int route_table_put_settings(
	struct route_table *table, const struct route_put_settings *put, struct ten_error *err);

/* Number what was published since the last call, if anything, and return the generation. */
uint64_t route_table_seal_generation(struct route_table *table);

/* Every live worker has acknowledged GENERATION: what was replaced before it is free again. */
void route_table_reclaim(struct route_table *table, uint64_t generation);

/* Call VISIT for every host name in the table (after an attach, to find what to remove). */
void route_table_each_host(
	const struct route_table *table, void (*visit)(void *data, const char *name), void *data);
/* And for every instance that has a record. */
void route_table_each_instance(const struct route_table *table,
	void (*visit)(void *data, const struct route_instance *instance), void *data);

#endif
