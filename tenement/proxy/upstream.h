/*
 * Connections to tenants, and the pool of idle ones per instance.
 */
#ifndef TEN_PROXY_UPSTREAM_H
#define TEN_PROXY_UPSTREAM_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"
#include "proxy/deadline.h"
#include "proxy/slot_map.h"

#define UPSTREAM_IDLE_MS    30000
#define UPSTREAM_POOL_MAX   1024 /* idle ones per instance */
#define UPSTREAM_POOLED_MAX 2048 /* idle ones in all */

struct worker;
struct exchange;

enum upstream_state { UPSTREAM_CONNECTING, UPSTREAM_BUSY, UPSTREAM_IDLE, UPSTREAM_CLOSED };

struct upstream {
	struct worker *worker;
	struct upstream *next;
	struct upstream *prev;
	ev_io io;
	enum upstream_state state;
	struct deadline deadline; /* idle */
	struct route_target target;
	uint64_t address; /* a hash of where it leads */
	struct exchange *exchange;
	bool reused; /* has served a request before this one */
};

/* Made for an instance's first idle connection, kept while the instance is ready. */
struct upstream_pool {
	struct slot_entry entry;
	uint32_t incarnation;
	uint32_t count;
	uint64_t address;      /* a hash of where they lead */
	struct upstream *idle; /* the one used last first */
};

enum upstream_result {
	UPSTREAM_OK,         /* connected, or on the way */
	UPSTREAM_REFUSED,    /* nobody listens */
	UPSTREAM_BUSY_QUEUE, /* its queue is full for the moment */
	UPSTREAM_NO_FD,      /* we are out of descriptors or memory */
	UPSTREAM_WRONG_PEER, /* the socket is somebody else's */
};

/* A connection to INSTANCE for EXCHANGE: a pooled one, or a new one. */
enum upstream_result upstream_get(struct worker *worker, const struct route_instance *instance,
	struct exchange *exchange, struct upstream **upstream);

/* After its connect(): 0, or an errno. */
int upstream_connect_result(struct upstream *upstream);

/* Back into the pool. It must have nothing more to say about its last request. */
void upstream_keep(struct upstream *upstream);
void upstream_close(struct upstream *upstream);
void upstream_watch(struct upstream *upstream, int events);

/* Close the idle connections of instances that are not ready any more, or reached elsewhere. */
void upstream_flush_stale(struct worker *worker);
/* Close all idle connections. */
void upstream_flush_all(struct worker *worker);
/* Close up to COUNT of those that have been idle for longest. Returns how many. */
uint32_t upstream_shed(struct worker *worker, uint32_t count);
void upstream_reap(struct worker *worker);

#endif
