#include "upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "common/unix_connect.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

#define FREE_MAX          1024
#define UPSTREAM_SHED_MAX 16

void upstream_watch(struct upstream *upstream, int events)
{
	struct ev_loop *loop = upstream->worker->loop;
	ev_io *io = &upstream->io;

	if ((io->events & (EV_READ | EV_WRITE)) == events && (ev_is_active(io) || !events))
		return;
	ev_io_stop(loop, io);
	ev_io_modify(io, events);
	if (events)
		ev_io_start(loop, io);
}

/* ---- the pools ---- */

static void pool_remove(struct upstream *upstream)
{
	struct worker *worker = upstream->worker;
	struct upstream_pool *pool = slot_map_find(worker->pools, upstream->target.slot);

	DL_DELETE(pool->idle, upstream);
	pool->count--;
	worker->pooled--;
}

static void pool_empty(struct upstream_pool *pool)
{
	while (pool->idle)
		upstream_close(pool->idle);
}

void upstream_close(struct upstream *upstream)
{
	struct worker *worker = upstream->worker;

	if (upstream->state == UPSTREAM_CLOSED)
		return;
	if (upstream->state == UPSTREAM_IDLE)
		pool_remove(upstream);
	upstream->state = UPSTREAM_CLOSED;
	upstream->exchange = NULL;
	deadline_stop(&upstream->deadline);
	ev_io_stop(worker->loop, &upstream->io);
	close(upstream->io.fd);
	LL_PREPEND(worker->dead_upstreams, upstream);
}

/* One that is in use again has left its deadline where it was. */
static void idle_expired(struct deadline *deadline)
{
	struct upstream *upstream =
		(struct upstream *)((char *)deadline - offsetof(struct upstream, deadline));

	if (upstream->state == UPSTREAM_IDLE)
		upstream_close(upstream);
}

/* FNV-1a over the address; two that are alike are the same for what it is used for. */
static uint64_t address_hash(const struct route_instance *instance)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ instance->port ^ (uint64_t)instance->address << 16;

	for (const char *at = instance->socket_path; at && *at; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3ull;
	return hash;
}

static struct upstream_pool *pool_make(const struct upstream *upstream)
{
	struct worker *worker = upstream->worker;
	struct upstream_pool *pool =
		slot_map_make(&worker->pools, upstream->target.slot, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->incarnation = upstream->target.incarnation;
	pool->address = upstream->address;
	return pool;
}

void upstream_keep(struct upstream *upstream)
{
	struct worker *worker = upstream->worker;
	struct upstream_pool *pool = slot_map_find(worker->pools, upstream->target.slot);
	enum instance_state state;

	upstream->exchange = NULL;
	if (!pool)
		pool = pool_make(upstream);
	if (!pool || pool->incarnation != upstream->target.incarnation ||
		pool->address != upstream->address || pool->count >= UPSTREAM_POOL_MAX ||
		worker->pooled >= UPSTREAM_POOLED_MAX || worker->draining || worker->retiring ||
		!route_table_state(worker->table, upstream->target, &state) ||
		state != INSTANCE_READY) {
		upstream_close(upstream);
		return;
	}
	upstream->state = UPSTREAM_IDLE;
	DL_PREPEND(pool->idle, upstream);
	pool->count++;
	worker->pooled++;
	upstream_watch(upstream, EV_READ);
	deadline_set(&worker->wheel, &upstream->deadline, worker->now_ms + UPSTREAM_IDLE_MS);
}

/* Its connections lead to where the instance is now. */
static bool pool_is_current(struct worker *worker, const struct upstream_pool *pool)
{
	struct route_target target = { pool->entry.slot, pool->incarnation };
	struct route_instance instance;
	enum instance_state state;

	return route_table_state(worker->table, target, &state) && state == INSTANCE_READY &&
	       route_table_instance(worker->table, target, &instance) &&
	       address_hash(&instance) == pool->address;
}

void upstream_flush_stale(struct worker *worker)
{
	struct slot_entry *entry;
	struct slot_entry *next;

	HASH_ITER (hh, worker->pools, entry, next) {
		struct upstream_pool *pool = (struct upstream_pool *)entry;

		if (pool_is_current(worker, pool))
			continue;
		pool_empty(pool);
		slot_map_drop(&worker->pools, entry);
	}
}

void upstream_flush_all(struct worker *worker)
{
	struct slot_entry *entry;
	struct slot_entry *next;

	HASH_ITER (hh, worker->pools, entry, next)
		pool_empty((struct upstream_pool *)entry);
}

/* All are kept equally long: the first to expire is the oldest. The longest idle of each pool
 * suffice to choose from, or a refusal would be as dear as there are connections. */
uint32_t upstream_shed(struct worker *worker, uint32_t count)
{
	struct upstream *oldest[UPSTREAM_SHED_MAX];
	struct slot_entry *entry;
	struct slot_entry *next;
	uint32_t found = 0;

	if (count > UPSTREAM_SHED_MAX)
		count = UPSTREAM_SHED_MAX;
	HASH_ITER (hh, worker->pools, entry, next) {
		struct upstream_pool *pool = (struct upstream_pool *)entry;
		struct upstream *last = pool->idle ? pool->idle->prev : NULL;
		uint32_t at = found;

		if (!last || (found == count &&
				     last->deadline.at_ms >= oldest[count - 1]->deadline.at_ms))
			continue;
		if (found == count)
			at--;
		else
			found++;
		for (; at && oldest[at - 1]->deadline.at_ms > last->deadline.at_ms; at--)
			oldest[at] = oldest[at - 1];
		oldest[at] = last;
	}
	for (uint32_t i = 0; i < found; i++)
		upstream_close(oldest[i]);
	return found;
}

/* ---- connections ---- */

static void event(struct ev_loop *loop, ev_io *io, int events)
{
	struct upstream *upstream = io->data;

	(void)loop;
	/* Whatever an idle connection has to say, it is of no use any more. */
	if (upstream->state == UPSTREAM_IDLE)
		upstream_close(upstream);
	else if (upstream->state != UPSTREAM_CLOSED && upstream->exchange)
		exchange_upstream_event(upstream->exchange, events);
}

/* Who listens at the other end (unix(7): the credentials of the process that called listen). */
static bool peer_is(int fd, uint32_t uid)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return false;
	return credentials.uid == uid;
}

static enum upstream_result failed(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return UPSTREAM_NO_FD;
	case EAGAIN:
		return UPSTREAM_BUSY_QUEUE;
	default:
		return UPSTREAM_REFUSED;
	}
}

/* Whether links above the socket are the operator's: in the place that the daemon makes they are.
 */
static bool is_in_our_place(const struct route_instance *instance)
{
	char end[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	size_t len = strlen(instance->socket_path);
	int end_len = snprintf(end, sizeof(end), "/sockets/%s/s", instance->name);

	return end_len > 0 && (size_t)end_len < sizeof(end) && (size_t)end_len <= len &&
	       strcmp(instance->socket_path + len - (size_t)end_len, end) == 0;
}

static int connect_without_links(int fd, const struct route_instance *instance)
{
	if (unix_connect(fd, instance->socket_path, UNIX_LINKS_NONE) == 0)
		return 0;
	/* Under an uid that is ours as well nothing would tell who listens. */
	if (errno != ELOOP || (instance->uid == geteuid() && !is_in_our_place(instance)))
		return -1;
	return unix_connect(fd, instance->socket_path, UNIX_LINKS_ABOVE);
}

static enum upstream_result connect_unix(int fd, const struct route_instance *instance)
{
	struct stat st;

	if (strlen(instance->socket_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return UPSTREAM_REFUSED;
	if (connect_without_links(fd, instance) < 0) {
		int error = errno;

		return lstat(instance->socket_path, &st) == 0 && S_ISLNK(st.st_mode)
			       ? UPSTREAM_WRONG_PEER
			       : failed(error);
	}
	if (instance->uid != ROUTE_NO_UID && !peer_is(fd, instance->uid))
		return UPSTREAM_WRONG_PEER;
	return UPSTREAM_OK;
}

static enum upstream_result connect_port(
	int fd, const struct route_instance *instance, enum upstream_state *state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(instance->port),
		.sin_addr.s_addr = instance->address ? instance->address : htonl(INADDR_LOOPBACK),
	};
	int yes = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return UPSTREAM_OK;
	if (errno != EINPROGRESS)
		/* EAGAIN means here that there is no free local port. */
		return errno == EAGAIN ? UPSTREAM_BUSY_QUEUE : failed(errno);
	*state = UPSTREAM_CONNECTING;
	return UPSTREAM_OK;
}

static int open_socket(struct worker *worker, int family)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int fd = socket(family, type, 0);

	if (fd < 0 && worker_shed(worker))
		fd = socket(family, type, 0);
	return fd;
}

static struct upstream *object_take(struct worker *worker)
{
	struct upstream *upstream = worker->free_upstreams;

	if (!upstream)
		return malloc(sizeof(*upstream));
	LL_DELETE(worker->free_upstreams, upstream);
	worker->free_upstream_count--;
	return upstream;
}

static enum upstream_result connect_new(struct worker *worker,
	const struct route_instance *instance, struct exchange *exchange,
	struct upstream **upstream)
{
	enum upstream_state state = UPSTREAM_BUSY;
	enum upstream_result result;
	bool is_unix = instance->socket_path != NULL;
	int fd;

	if (!is_unix && !instance->port)
		return UPSTREAM_REFUSED;
	fd = open_socket(worker, is_unix ? AF_UNIX : AF_INET);
	if (fd < 0)
		return UPSTREAM_NO_FD;
	result = is_unix ? connect_unix(fd, instance) : connect_port(fd, instance, &state);
	*upstream = result == UPSTREAM_OK ? object_take(worker) : NULL;
	if (result == UPSTREAM_OK && !*upstream && worker_shed(worker))
		*upstream = object_take(worker);
	if (!*upstream) {
		close(fd);
		return result == UPSTREAM_OK ? UPSTREAM_NO_FD : result;
	}
	memset(*upstream, 0, sizeof(**upstream));
	(*upstream)->worker = worker;
	(*upstream)->deadline.expired = idle_expired;
	(*upstream)->state = state;
	(*upstream)->target = instance->self;
	(*upstream)->address = address_hash(instance);
	(*upstream)->exchange = exchange;
	ev_io_init(&(*upstream)->io, event, fd, EV_READ);
	(*upstream)->io.data = *upstream;
	return UPSTREAM_OK;
}

/* Neither closed, nor with bytes on it that nobody asked for: they would be taken for the answer to
 * the next request. */
static bool still_open(const struct upstream *upstream)
{
	char byte;

	return recv(upstream->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

enum upstream_result upstream_get(struct worker *worker, const struct route_instance *instance,
	struct exchange *exchange, struct upstream **upstream)
{
	struct upstream_pool *pool = slot_map_find(worker->pools, instance->self.slot);

	while (pool && pool->idle) {
		struct upstream *idle = pool->idle;
		if (pool->incarnation != instance->self.incarnation || !still_open(idle)) {
			upstream_close(idle);
			continue;
		}
		pool_remove(idle);
		idle->state = UPSTREAM_BUSY;
		idle->reused = true;
		idle->exchange = exchange;
		*upstream = idle;
		return UPSTREAM_OK;
	}
	return connect_new(worker, instance, exchange, upstream);
}

int upstream_connect_result(struct upstream *upstream)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(upstream->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (!error)
		upstream->state = UPSTREAM_BUSY;
	return error;
}

void upstream_reap(struct worker *worker)
{
	while (worker->dead_upstreams) {
		struct upstream *upstream = worker->dead_upstreams;
		LL_DELETE(worker->dead_upstreams, upstream);
		if (worker->free_upstream_count >= FREE_MAX) {
			free(upstream);
			continue;
		}
		LL_PREPEND(worker->free_upstreams, upstream);
		worker->free_upstream_count++;
	}
}
