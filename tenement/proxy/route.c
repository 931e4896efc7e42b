#include "route.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "proxy/ask.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/firewall.h"
#include "proxy/rewrite.h"
#include "proxy/worker.h"
#include "sticky.h"

static bool same_target(struct route_target a, struct route_target b)
{
	return a.slot == b.slot && a.incarnation == b.incarnation;
}

/* ---- weighted routes ---- */

/* It serves, or will when it is woken. */
static bool is_usable(const void *data, struct route_target target)
{
	const struct worker *worker = data;
	enum instance_state state;

	return route_table_state(worker->table, target, &state) && state != INSTANCE_FAILED &&
	       state != INSTANCE_STOPPED && state != INSTANCE_SUSPENDED;
}

/* The target that the request's cookie names, if there is one that takes traffic and can. */
static const struct route_weighted_target *by_cookie(
	const struct worker *worker, const struct route_host *host, const struct http_head *head)
{
	uint32_t looked_at = 0;

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		uint64_t tag;
		size_t at = 0;

		if (!http_text_is(field->name, field->name_len, "cookie"))
			continue;
		while (looked_at++ < STICKY_COOKIES_MAX &&
			(tag = sticky_cookie_next(
				 field->value, field->value_len, host->service, &at))) {
			uint32_t place = sticky_find(host->targets, host->target_count, tag);

			if (place < host->target_count &&
				is_usable(worker, host->targets[place].target))
				return &host->targets[place];
		}
	}
	return NULL;
}

static const struct route_weighted_target *by_target(
	const struct route_host *host, struct route_target target)
{
	uint32_t i = 0;

	while (i < host->target_count && !same_target(host->targets[i].target, target))
		i++;
	return i < host->target_count ? &host->targets[i] : NULL;
}

static struct route_target by_ticket(struct exchange *exchange, const struct route_host *host)
{
	struct board *board = exchange->worker->board;

	return route_pick(host,
		atomic_fetch_add_explicit(&board->picks[host->counter], 1, memory_order_relaxed));
}

/* A visitor without a cookie gets one of a target that can serve, as long as there is any. */
static void pick_new(struct exchange *exchange, const struct route_host *host)
{
	const struct route_weighted_target *picked = by_target(host, by_ticket(exchange, host));
	uint32_t first = (uint32_t)(picked - host->targets);

	for (uint32_t i = 0; i < host->target_count && !is_usable(exchange->worker, picked->target);
		i++)
		picked = &host->targets[(first + 1 + i) % host->target_count];
	exchange->target = picked->target;
	exchange->sticky_tag = picked->tag;
}

/* HEAD is NULL when the route is looked up once more. */
static void pick_by_cookie(
	struct exchange *exchange, const struct route_host *host, const struct http_head *head)
{
	const struct route_weighted_target *kept =
		head ? by_cookie(exchange->worker, host, head) : NULL;

	if (kept)
		exchange->target = kept->target;
	else
		pick_new(exchange, host);
}

static void pick_by_address(
	struct exchange *exchange, const struct route_host *host, const struct http_head *head)
{
	if (head) {
		struct http_text real = rewrite_real_address(exchange->client, head);
		exchange->sticky_visitor = sticky_visitor(real.data, real.len);
	}
	if (exchange->sticky_visitor)
		exchange->target =
			host
				->targets[sticky_pick(host->targets, host->target_count,
					exchange->sticky_visitor, is_usable, exchange->worker)]
				.target;
	else /* it became sticky while the request waited */
		exchange->target = by_ticket(exchange, host);
}

static enum route_result weighted(
	struct exchange *exchange, const struct route_host *host, const struct http_head *head)
{
	if (!host->target_count || host->counter >= BOARD_PICKS_MAX)
		return ROUTE_NO_WEIGHT;
	if (exchange->resolved_generation && by_target(host, exchange->target))
		return ROUTE_FOUND;
	exchange->sticky_tag = 0;
	if (host->sticky == STICKY_COOKIE)
		pick_by_cookie(exchange, host, head);
	else if (host->sticky == STICKY_IP)
		pick_by_address(exchange, host, head);
	else
		exchange->target = by_ticket(exchange, host);
	return ROUTE_FOUND;
}

/* ---- every kind ---- */

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

static enum route_result spawn(
	struct exchange *exchange, const struct route_host *host, const struct http_head *head)
{
	size_t len = strcspn(exchange->host, ".");
	bool joins;

	/* Whoever was granted once is published, or is not there after all. */
	if (!is_id(exchange->host, len) || !host->service || exchange->asked)
		return ROUTE_NOBODY;
	joins = ask_is_made(exchange->worker, host->service, exchange->host, len);
	if (head && !firewall_may_ask(exchange, head, host->service, joins))
		return ROUTE_NOT_WOKEN;
	exchange->asked = true;
	if (ask_join(exchange, host->service, exchange->host, len))
		return ROUTE_ASKS;
	firewall_pay_back(exchange);
	return ROUTE_ASKS_FULL;
}

static enum route_result follow(
	struct exchange *exchange, const struct route_host *host, const struct http_head *head)
{
	enum route_result result = ROUTE_FOUND;

	switch (host->kind) {
	case ROUTE_INSTANCE:
		exchange->target = host->target;
		break;
	case ROUTE_WEIGHTED:
		result = weighted(exchange, host, head);
		break;
	case ROUTE_SPAWN:
		return spawn(exchange, host, head);
	default:
		return ROUTE_NOBODY;
	}
	if (result == ROUTE_FOUND)
		exchange->resolved_generation = exchange->worker->generation;
	return result;
}

static enum route_result look_up(struct exchange *exchange, const struct http_head *head)
{
	struct route_host host;

	route_table_host(exchange->worker->table, exchange->host, strlen(exchange->host), &host);
	return follow(exchange, &host, head);
}

enum route_result route_again(struct exchange *exchange)
{
	return look_up(exchange, NULL);
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

/* Whether the management API may be asked: until there is TLS, from this machine alone, or through
 * a proxy of the operator's that has it. */
static bool may_manage(const struct exchange *exchange, const struct http_head *head)
{
	const struct client *client = exchange->client;
	struct http_text real = rewrite_real_address(client, head);
	struct in6_addr six;
	struct in_addr four;
	char text[INET6_ADDRSTRLEN];

	if (!client->has_address || rewrite_is_https(client, head))
		return true;
	if (real.len >= sizeof(text))
		return false;
	memcpy(text, real.data, real.len);
	text[real.len] = '\0';
	if (inet_pton(AF_INET, text, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* The daemon's own answers, under a name that no Host can be. */
static enum route_result manage(
	struct exchange *exchange, const struct http_head *head, bool by_default)
{
	if (!may_manage(exchange, head))
		return by_default ? ROUTE_NOBODY : ROUTE_NOT_LOCAL;
	return look_up(exchange, head);
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
	return *name == '#' ? manage(exchange, head, name == root->default_host)
			    : look_up(exchange, head);
}

/* Who calls us by address, or by no name at all, means the root domain. */
static bool means_root(const struct worker *worker, const char *host, size_t len)
{
	return !len || http_host_is_address(host, len) || !strcmp(host, "localhost") ||
	       !strcmp(host, worker->settings.domain);
}

/* On a listener for the API alone. (Names that lead to us without being ours do not count there,
 * either: a page of a stranger's could have its own name lead here.) */
static enum route_result api_request(
	struct exchange *exchange, const struct route_host *host, const struct http_head *head)
{
	if (host->kind != ROUTE_ROOT &&
		!means_root(exchange->worker, exchange->host, strlen(exchange->host)))
		return ROUTE_NOBODY;
	snprintf(exchange->host, sizeof(exchange->host), "%s", ROUTE_API_HOST);
	return manage(exchange, head, false);
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
	if (exchange->client->for_api)
		return api_request(exchange, &host, head);
	if (host.kind == ROUTE_NONE && means_root(worker, exchange->host, len)) {
		route_table_host(worker->table, worker->settings.domain,
			strlen(worker->settings.domain), &host);
		return root_request(exchange, &host, head);
	}
	if (host.kind == ROUTE_ROOT)
		return root_request(exchange, &host, head);
	return follow(exchange, &host, head);
}
