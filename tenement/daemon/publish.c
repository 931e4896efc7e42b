#include "daemon/publish.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/become.h"
#include "common/files.h"
#include "common/log.h"
#include "config_check.h"
#include "config_path.h"
#include "daemon/failures.h"
#include "daemon/override.h"
#include "daemon/publish_api.h"
#include "daemon/publish_wake.h"
#include "daemon/sharing.h"
#include "daemon/storage.h"
#include "limit.h"
#include "log_to.h"
#include "mem.h"
#include "names.h"
#include "option_value.h"
#include "wire.h"

#define PAGE_MAX           (256u << 10)
#define WAIT_SLACK_MS      500 /* so that the daemon's own reason is there before the proxy's 504 */
#define LINGERING_START_MS 1000

static uint32_t ms(int64_t seconds)
{
	return seconds > UINT32_MAX / 1000 ? UINT32_MAX : (uint32_t)(seconds * 1000);
}

static char *read_page(const char *path)
{
	struct ten_error err;
	char *page;

	if (!path || !*path)
		return NULL;
	page = files_read(AT_FDCWD, path, PAGE_MAX, NULL, &err);
	if (!page)
		log_warn("%s; our own page is shown instead", err.text);
	return page;
}

int publish_instance(struct daemon *d, struct instance *instance, struct ten_error *err)
{
	const struct service_values *values = &instance->spec->values;
	const struct run *run = instance->run;
	bool reachable = run && run->ready && run->exit == PLAN_EXIT_NONE;
	autofree char *page = instance->wanted_state == TENANT_SUSPENDED
				      ? read_page(values->suspended_page)
				      : NULL;
	struct route_instance put = {
		.self = instance->target,
		.name = instance->key,
		.socket_path = reachable && run->by_socket ? run->socket_path : NULL,
		.port = reachable && !run->by_socket ? run->port : 0,
		.address = run ? htonl(run->network.address) : 0,
		.uid = run && run->uid != BECOME_KEEP ? run->uid : ROUTE_NO_UID,
		.wake_queue = (uint32_t)config_set_settings(d->set)->wake_queue,
		.wait_ms = ms(values->startup_timeout) + WAIT_SLACK_MS,
		.request_timeout_ms = ms(values->request_timeout),
		.stream_idle_timeout_ms = ms(values->stream_idle_timeout),
		.upgraded_idle_timeout_ms = ms(values->upgraded_idle_timeout),
		.max_body_bytes = (uint64_t)values->max_body_mb << 20,
		.rate_interval_ns = limit_interval_ns((uint32_t)values->rate_limit),
		.rate_burst =
			(uint32_t)(values->rate_burst ? values->rate_burst : values->rate_limit),
		.max_concurrent = (uint32_t)values->max_concurrent,
		.queue_size = (uint32_t)values->queue_size,
		.queue_timeout_ms = ms(values->queue_timeout),
		.max_connections = (uint32_t)values->max_connections,
		.server_timing = values->server_timing,
		.ping_is_quiet = !values->wake_on_ping,
		/* (stopped, it says why) */
		.suspended_status =
			storage_stops(instance->spec) ? 507 : (uint32_t)values->suspended_status,
		.suspended_page = page,
		.access_log = (uint32_t)values->access_log,
		.log = LOG_TO_SAID | log_to_read(values->log_to) |
		       (values->log_format == LOG_FORMAT_JSON ? LOG_TO_JSON : 0),
		.wake = publish_wake_of(d, instance->spec),
		.retry_at_ms = failures_retry_at_ms(instance),
	};

	if (publish_wake_instance(d, instance, err) < 0)
		return -1;
	return route_table_put_instance(d->table, &put, err);
}

static int put_host(
	struct daemon *d, const struct instance *instance, const char *name, struct ten_error *err)
{
	struct route_put put = { .kind = ROUTE_INSTANCE, .name = name, .target = instance->target };

	return route_table_put_host(d->table, &put, err);
}

static char *lower(const char *host)
{
	char *copy = mem_strdup(host);

	names_host_lower(copy);
	return copy;
}

int publish_hosts(struct daemon *d, struct instance *instance, struct ten_error *err)
{
	const struct ten_spec *spec = instance->spec;
	autofree char *host = names_host_make(spec->id, spec->service_name, d->domain);
	int rc = 0;

	if (instance->published && instance->published != spec)
		publish_remove_hosts(d, instance);
	if (strlen(host) <= ROUTE_HOST_MAX)
		rc = put_host(d, instance, host, err);
	for (size_t i = 0; rc == 0 && spec->tenant.domains && spec->tenant.domains[i]; i++) {
		autofree char *domain = lower(spec->tenant.domains[i]);

		rc = put_host(d, instance, domain, err);
	}
	spec_unref(instance->published);
	instance->published = spec_ref(spec);
	return rc;
}

static bool still_has(const struct ten_spec *spec, const char *domain)
{
	for (size_t i = 0; spec && spec->tenant.domains && spec->tenant.domains[i]; i++)
		if (strcasecmp(spec->tenant.domains[i], domain) == 0)
			return true;
	return false;
}

void publish_remove_hosts(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *old = instance->published;
	autofree char *host = names_host_make(old->id, old->service_name, d->domain);

	if (!instance->spec) {
		route_table_remove_host(d->table, host);
		route_table_remove_wake(d->table, instance->key);
	}
	for (size_t i = 0; old->tenant.domains && old->tenant.domains[i]; i++) {
		autofree char *domain = lower(old->tenant.domains[i]);
		struct route_host found;

		/* Another tenant may have it by now. */
		route_table_host(d->table, domain, strlen(domain), &found);
		if (!still_has(instance->spec, domain) && found.kind == ROUTE_INSTANCE &&
			found.target.slot == instance->target.slot)
			route_table_remove_host(d->table, domain);
	}
}

/* ---- routes ---- */

struct gathered {
	struct daemon *d;
	struct publish_split *split;
	size_t count;
};

static void gather(void *data, const struct ten_spec *spec)
{
	struct gathered *gathered = data;
	const struct instance *instance = instance_find(gathered->d, spec->key);

	gathered->split =
		mem_resize(gathered->split, gathered->count + 1, sizeof(*gathered->split));
	gathered->split[gathered->count++] = (struct publish_split){ mem_strdup(spec->id),
		instance ? instance->wanted_weight : (uint32_t)spec->values.weight };
}

static int compare_ids(const void *a, const void *b)
{
	const struct publish_split *left = a, *right = b;

	return strcmp(left->id, right->id);
}

/* Whether [routing] leads to SERVICE: then it needs an answer also without a route of its own. */
static bool routed_to(const struct daemon *d, const char *service)
{
	const struct config_routing *routing = config_set_routing(d->set);
	bool found = routing->default_service && strcmp(routing->default_service, service) == 0;

	for (size_t i = 0; i < routing->subdomains.count; i++)
		found = found || strcmp(routing->subdomains.pairs[i].value, service) == 0;
	for (size_t i = 0; i < routing->paths.count; i++)
		found = found || strcmp(routing->paths.pairs[i].value, service) == 0;
	return found;
}

/* Who was removed since has no share: those of the others are of what is there. */
static size_t leave_out_undeclared(
	struct daemon *d, const char *service, struct publish_split *split, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		autofree char *key = mem_printf("%s:%s", service, split[i].id);

		if (config_set_instance(d->set, key))
			split[kept++] = split[i];
		else
			free(split[i].id);
	}
	return kept;
}

size_t publish_split_of(
	struct daemon *d, const char *service, struct publish_split **split, const char **source)
{
	const struct override *override = override_find(d, service, OVERRIDE_SPLIT);
	const struct service_values *values = config_set_service(d->set, service);
	const struct config_route *route = config_set_route(d->set, service);
	struct gathered gathered = { .d = d };
	size_t count = 0;

	*split = NULL;
	*source = NULL;
	if (!values)
		return 0;
	if (override && override_parse_split(override->value, split, &count) == 0) {
		*source = "override";
		return leave_out_undeclared(d, service, *split, count);
	}
	if (route) {
		*source = "route";
		for (size_t i = 0; i < route->count; i++) {
			*split = mem_resize(*split, i + 1, sizeof(**split));
			(*split)[i] = (struct publish_split){ mem_strdup(route->split[i].id),
				route->split[i].weight };
		}
		return route->count;
	}
	if (!values->balance && !routed_to(d, service))
		return 0;
	config_set_each_instance_of(d->set, service, gather, &gathered);
	if (gathered.count)
		qsort(gathered.split, gathered.count, sizeof(*gathered.split), compare_ids);
	*source = values->balance ? "balance" : "routing";
	*split = gathered.split;
	return gathered.count;
}

uint32_t publish_weight_of(struct daemon *d, const struct instance *instance)
{
	const char *id = strchr(instance->key, ':') + 1;
	autofree char *service = mem_strndup(instance->key, (size_t)(id - 1 - instance->key));
	const struct override *override = override_find(d, service, OVERRIDE_SPLIT);
	const struct config_route *route = config_set_route(d->set, service);
	struct publish_split *split = NULL;
	uint32_t weight = 0;
	size_t count = 0;

	if (override && override_parse_split(override->value, &split, &count) == 0) {
		const struct publish_split *part = sharing_find(split, count, id);

		weight = part ? part->weight : 0;
		publish_split_free(split, count);
		return weight;
	}
	if (!route)
		return instance->wanted_weight;
	for (size_t i = 0; i < route->count; i++)
		if (strcmp(route->split[i].id, id) == 0)
			weight = route->split[i].weight;
	return weight;
}

enum sticky publish_sticky_of(struct daemon *d, const char *service)
{
	const struct config_route *route = config_set_route(d->set, service);
	const struct service_values *values = config_set_service(d->set, service);

	if (route && route->sticky >= 0)
		return (enum sticky)route->sticky;
	return values ? (enum sticky)values->sticky : STICKY_NONE;
}

char *publish_declared_split(struct daemon *d, const char *service)
{
	const struct config_route *route = config_set_route(d->set, service);
	size_t count = route ? route->count : 0;
	autofree struct publish_split *split = mem_alloc((count + 1) * sizeof(*split));

	for (size_t i = 0; i < count; i++)
		split[i] = (struct publish_split){ route->split[i].id, route->split[i].weight };
	return override_format_split(split, count);
}

void publish_split_free(struct publish_split *split, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(split[i].id);
	free(split);
}

/* A ticket counter of the board for each service, by its name, so that a restart finds it again
 * as far as may be: which one matters little, that no two services share one matters. */
uint32_t publish_counter_of(struct daemon *d, const char *service)
{
	struct counter {
		char *service;
		uint32_t number;
		UT_hash_handle hh;
	};
	static struct counter *counters;
	struct counter *counter;

	(void)d;
	HASH_FIND_STR(counters, service, counter);
	if (!counter) {
		counter = mem_alloc(sizeof(*counter));
		counter->service = mem_strdup(service);
		counter->number = HASH_COUNT(counters) % BOARD_PICKS_MAX;
		HASH_ADD_KEYPTR(hh, counters, counter->service, strlen(service), counter);
	}
	return counter->number;
}

static int put_weighted(struct daemon *d, const char *service, const char *host,
	const struct publish_split *split, size_t count, struct ten_error *err)
{
	autofree struct route_target *targets = mem_alloc((count + 1) * sizeof(*targets));
	autofree uint32_t *weights = mem_alloc((count + 1) * sizeof(*weights));
	autofree uint64_t *tags = mem_alloc((count + 1) * sizeof(*tags));
	struct route_put put = { .kind = ROUTE_WEIGHTED,
		.name = host,
		.service = service,
		.targets = targets,
		.weights = weights,
		.tags = tags,
		.counter = publish_counter_of(d, service),
		.sticky = publish_sticky_of(d, service) };

	for (size_t i = 0; i < count; i++) {
		autofree char *key = mem_printf("%s:%s", service, split[i].id);
		const struct instance *instance = instance_find(d, key);

		if (!instance || !instance->known)
			continue;
		targets[put.target_count] = instance->target;
		tags[put.target_count] = sticky_tag(key);
		weights[put.target_count++] = split[i].weight;
	}
	return route_table_put_host(d->table, &put, err);
}

static int put_or_remove(struct daemon *d, const char *service, const char *host,
	const struct publish_split *split, size_t count, struct ten_error *err)
{
	if (count)
		return put_weighted(d, service, host, split, count, err);
	route_table_remove_host(d->table, host);
	return 0;
}

int publish_route(struct daemon *d, const char *service, struct ten_error *err)
{
	const struct config_routing *routing = config_set_routing(d->set);
	const struct service_values *values = config_set_service(d->set, service);
	autofree char *host = names_host_make(NULL, service, d->domain);
	autofree char *wild = mem_printf("*.%s", host);
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(d, service, &split, &source);
	int rc = put_or_remove(d, service, host, split, count, err);

	for (size_t i = 0; rc == 0 && i < routing->subdomains.count; i++) {
		autofree char *alias = NULL;

		if (strcmp(routing->subdomains.pairs[i].value, service) != 0)
			continue;
		alias = names_host_make(NULL, routing->subdomains.pairs[i].name, d->domain);
		rc = put_or_remove(d, service, alias, split, count, err);
	}
	publish_split_free(split, count);
	if (rc == 0)
		rc = publish_wake_service(d, service, err);
	if (rc == 0 && values && values->spawn_undeclared) {
		struct route_put put = { .kind = ROUTE_SPAWN, .name = wild, .service = service };

		rc = route_table_put_host(d->table, &put, err);
	} else if (rc == 0) {
		route_table_remove_host(d->table, wild);
	}
	return rc;
}

/* ---- settings ---- */

static size_t count_strings(const char *const *strings)
{
	size_t count = 0;

	while (strings[count])
		count++;
	return count;
}

static int put_root(struct daemon *d, struct ten_error *err)
{
	const struct config_routing *routing = config_set_routing(d->set);
	const char *const *ours = config_check_own_paths;
	bool elsewhere = config_set_settings(d->set)->api_listen[0] != NULL;
	size_t own = elsewhere ? 0 : count_strings(ours), count = own + routing->paths.count;
	autofree struct route_path *paths = mem_alloc((count + 1) * sizeof(*paths));
	autofree char *default_host =
		routing->default_service
			? names_host_make(NULL, routing->default_service, d->domain)
		: elsewhere ? NULL
			    : mem_strdup(ROUTE_API_HOST);
	char **hosts = mem_alloc((routing->paths.count + 1) * sizeof(*hosts));
	struct route_put put = { .kind = ROUTE_ROOT,
		.name = d->domain,
		.paths = paths,
		.path_count = (uint32_t)count,
		.default_host = default_host };
	int rc;

	for (size_t i = 0; i < own; i++)
		paths[i] = (struct route_path){ ours[i], ROUTE_API_HOST };
	for (size_t i = 0; i < routing->paths.count; i++) {
		hosts[i] = names_host_make(NULL, routing->paths.pairs[i].value, d->domain);
		paths[own + i] = (struct route_path){ routing->paths.pairs[i].name, hosts[i] };
	}
	rc = route_table_put_host(d->table, &put, err);
	mem_strv_free(hosts);
	return rc;
}

/* "10.0.0.0/8" or "::1" as an IPv6 prefix. They were checked when the file was read. */
static bool parse_cidr(const char *text, struct route_cidr *cidr)
{
	char address[64];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct in_addr four;
	int64_t prefix = -1;

	if (len >= sizeof(address) || (slash && !wire_number(slash + 1, 0, 128, &prefix)))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, &four) == 1) {
		memset(cidr->address, 0, 10);
		memset(cidr->address + 10, 0xff, 2);
		memcpy(cidr->address + 12, &four, 4);
		cidr->prefix = (uint8_t)(prefix < 0 ? 128 : 96 + prefix);
		return true;
	}
	cidr->prefix = (uint8_t)(prefix < 0 ? 128 : prefix);
	return inet_pton(AF_INET6, address, cidr->address) == 1;
}

static uint32_t error_pages(struct daemon *d, const struct setting_values *settings,
	struct route_error_page *pages, char **texts)
{
	autofree char *folder = config_path_parent(d->place.main_path);
	uint32_t count = 0;

	for (size_t i = 0; i < settings->error_pages.count; i++) {
		autofree char *path =
			config_path_join(folder, settings->error_pages.pairs[i].value);
		int64_t status;

		if (!wire_number(settings->error_pages.pairs[i].name, 400, 599, &status))
			continue;
		texts[count] = read_page(path);
		if (!texts[count])
			continue;
		pages[count] = (struct route_error_page){ (uint32_t)status, texts[count] };
		count++;
	}
	return count;
}

int publish_settings(struct daemon *d, struct ten_error *err)
{
	const struct setting_values *settings = config_set_settings(d->set);
	struct route_cidr cidrs[ROUTE_CIDRS_MAX];
	size_t pages_room = settings->error_pages.count + 1;
	autofree struct route_error_page *pages = mem_alloc(pages_room * sizeof(*pages));
	char **texts = mem_alloc(pages_room * sizeof(*texts));
	struct route_put_settings put = {
		.base = { .domain = d->domain,
			.max_header_bytes = (uint32_t)settings->max_header_kb << 10,
			.max_headers = (uint32_t)settings->max_headers,
			.client_header_timeout_ms = ms(settings->client_header_timeout),
			.client_body_timeout_ms = ms(settings->client_body_timeout),
			.keepalive_timeout_ms = ms(settings->keepalive_timeout),
			.max_connections_per_ip = (uint32_t)settings->max_connections_per_ip,
			.max_wakes_per_minute_per_ip =
				(uint32_t)settings->max_wakes_per_minute_per_ip,
			.upgrade_drain_timeout_ms = ms(settings->upgrade_drain_timeout),
			.trace = settings->otlp_endpoint && *settings->otlp_endpoint
					 ? (uint32_t)settings->trace_sample + 1
					 : 0,
			.trusted_proxies = cidrs,
			.ready = d->first_reconcile_done },
		.error_pages = pages,
	};
	int rc;

	for (size_t i = 0; settings->trusted_proxies && settings->trusted_proxies[i] &&
			   put.base.trusted_proxy_count < ROUTE_CIDRS_MAX;
		i++)
		put.base.trusted_proxy_count += parse_cidr(
			settings->trusted_proxies[i], &cidrs[put.base.trusted_proxy_count]);
	put.error_page_count = error_pages(d, settings, pages, texts);
	rc = route_table_put_settings(d->table, &put, err);
	mem_strv_free(texts);
	if (rc == 0)
		rc = publish_api(d, err);
	return rc == 0 ? put_root(d, err) : rc;
}

/* ---- what an earlier life left ---- */

struct sweep {
	struct daemon *d;
	char **hosts;
};

/* Whether the present configuration asks for the host NAME. */
static bool wanted_host(struct daemon *d, const char *name, const struct route_host *found)
{
	char id[NAMES_MAX + 1], service[NAMES_MAX + 1];
	autofree char *key = NULL;

	if (strcmp(name, ROUTE_API_HOST) == 0)
		return true;
	if (*name == '#')
		return publish_wake_is_wanted(d, name + 1);
	if (*name == '*' || found->kind == ROUTE_WEIGHTED)
		return found->service && config_set_service(d->set, found->service);
	switch (names_host_split(name, d->domain, id, service)) {
	case NAMES_HOST_ROOT:
		return true;
	case NAMES_HOST_INSTANCE:
		key = mem_printf("%s:%s", service, id);
		return config_set_instance(d->set, key) != NULL;
	default:
		break;
	}
	if (found->kind != ROUTE_INSTANCE || found->target.slot >= ROUTE_SLOTS_MAX)
		return false;
	return d->by_slot[found->target.slot] && d->by_slot[found->target.slot]->spec &&
	       still_has(d->by_slot[found->target.slot]->spec, name);
}

static void sweep_host(void *data, const char *name)
{
	struct sweep *sweep = data;
	struct route_host found;

	route_table_host(sweep->d->table, name, strlen(name), &found);
	if (!wanted_host(sweep->d, name, &found))
		mem_strv_append(&sweep->hosts, name);
}

void publish_sweep(struct daemon *d)
{
	struct sweep sweep = { .d = d };

	route_table_each_host(d->table, sweep_host, &sweep);
	for (size_t i = 0; sweep.hosts && sweep.hosts[i]; i++)
		route_table_remove_host(d->table, sweep.hosts[i]);
	mem_strv_free(sweep.hosts);
}
