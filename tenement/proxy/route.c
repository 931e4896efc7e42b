#include "route.h"

#include <stdio.h>
#include <string.h>

#include "proxy/ask.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

static bool same_target(struct route_target a, struct route_target b)
{
	return a.slot == b.slot && a.incarnation == b.incarnation;
}

static enum route_result weighted(struct exchange *exchange, const struct route_host *host)
{
	struct board *board = exchange->worker->board;
	uint64_t ticket;

	if (!host->target_count || host->counter >= BOARD_PICKS_MAX)
		return ROUTE_NO_WEIGHT;
	for (uint32_t i = 0; i < host->target_count && exchange->resolved_generation; i++)
		if (same_target(host->targets[i].target, exchange->target))
			return ROUTE_FOUND;
	ticket = atomic_fetch_add_explicit(&board->picks[host->counter], 1, memory_order_relaxed);
	exchange->target = route_pick(host, ticket);
	return ROUTE_FOUND;
}

static bool is_id(const char *id, size_t len)
{
	if (!len || len > 63)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool inner = id[i] == '-' || id[i] == '_';
		bool plain = (id[i] >= 'a' && id[i] <= 'z') || (id[i] >= '0' && id[i] <= '9');
		if (!plain && !(inner && i > 0 && i < len - 1))
			return false;
	}
	return true;
}

static enum route_result spawn(struct exchange *exchange, const struct route_host *host)
{
	size_t len = strcspn(exchange->host, ".");

	/* Whoever was granted once is published, or is not there after all. */
	if (!is_id(exchange->host, len) || !host->service || exchange->asked)
		return ROUTE_NOBODY;
	exchange->asked = true;
	return ask_join(exchange, host->service, exchange->host, len) ? ROUTE_ASKS
								      : ROUTE_ASKS_FULL;
}

static enum route_result follow(struct exchange *exchange, const struct route_host *host)
{
	enum route_result result = ROUTE_FOUND;

	switch (host->kind) {
	case ROUTE_INSTANCE:
		exchange->target = host->target;
		break;
	case ROUTE_WEIGHTED:
		result = weighted(exchange, host);
		break;
	case ROUTE_SPAWN:
		return spawn(exchange, host);
	default:
		return ROUTE_NOBODY;
	}
	if (result == ROUTE_FOUND)
		exchange->resolved_generation = exchange->worker->generation;
	return result;
}

enum route_result route_again(struct exchange *exchange)
{
	struct route_host host;

	route_table_host(exchange->worker->table, exchange->host, strlen(exchange->host), &host);
	return follow(exchange, &host);
}

static bool path_matches(const struct http_text *path, const char *prefix)
{
	size_t len = strlen(prefix);

	while (len && prefix[len - 1] == '/')
		len--;
	if (path->len < len || memcmp(path->data, prefix, len))
		return false;
	return path->len == len || path->data[len] == '/';
}

/* The host name that serves PATH of the root domain; NULL: none. */
static const char *root_host(
	const struct worker *worker, const struct route_host *root, const struct http_text *path)
{
	struct route_path row;

	for (uint32_t i = 0; i < root->path_count; i++)
		if (route_host_path(worker->table, root, i, &row) && path_matches(path, row.prefix))
			return row.host;
	return root->default_host;
}

static enum route_result root_request(
	struct exchange *exchange, const struct route_host *root, const struct http_head *head)
{
	const char *name;

	if (head->path.len == 7 && !memcmp(head->path.data, "/health", 7) &&
		(head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD))
		return ROUTE_HEALTH;
	name = root->kind == ROUTE_ROOT ? root_host(exchange->worker, root, &head->path) : NULL;
	if (!name)
		return ROUTE_NOBODY;
	snprintf(exchange->host, sizeof(exchange->host), "%s", name);
	return route_again(exchange);
}

/* Who calls us by address, or by no name at all, means the root domain. */
static bool means_root(const struct worker *worker, const char *host, size_t len)
{
	return !len || http_host_is_address(host, len) || !strcmp(host, "localhost") ||
	       !strcmp(host, worker->settings.domain);
}

enum route_result route_request(struct exchange *exchange, const struct http_head *head)
{
	struct worker *worker = exchange->worker;
	struct route_host host = { .kind = ROUTE_NONE };
	size_t len = http_host_normalize(&head->host, exchange->host);

	if (!len && head->host.len)
		return ROUTE_NOBODY; /* longer than a name can be, or nothing but a dot */
	if (len)
		route_table_host(worker->table, exchange->host, len, &host);
	if (host.kind == ROUTE_NONE && means_root(worker, exchange->host, len)) {
		route_table_host(worker->table, worker->settings.domain,
			strlen(worker->settings.domain), &host);
		return root_request(exchange, &host, head);
	}
	if (host.kind == ROUTE_ROOT)
		return root_request(exchange, &host, head);
	return follow(exchange, &host);
}
