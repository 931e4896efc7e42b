/*
 * Records for the tests of the routing table that carry a version and prove that they are whole:
 * every field follows from the name and the version, so a reader that saw half of one and half of
 * another would know.
 */
#ifndef TEN_TESTS_ROUTE_RIG_H
#define TEN_TESTS_ROUTE_RIG_H

#include <stdio.h>
#include <string.h>

#include "route_table.h"

#define RIG_NONE     (-1L) /* there is none */
#define RIG_DAMAGED  (-2L) /* half of something */
#define RIG_TEXT_MAX 512

/* What a string field of NAME holds at VERSION: of changing length, so that blocks of different
 * sizes are used. */
static inline void rig_text(char *text, const char *field, const char *name, long version)
{
	uint64_t sum = 0xcbf29ce484222325ull;
	int len = snprintf(text, RIG_TEXT_MAX, "%ld/%s/%s/", version, field, name);
	int padding = (int)(version * 37 % 180);

	for (int i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3ull;
	for (int i = 0; i < padding; i++)
		text[len++] = (char)('a' + (sum >> i % 56) % 26);
	snprintf(text + len, RIG_TEXT_MAX - (size_t)len, "/%016llx", (unsigned long long)sum);
}

static inline long rig_text_version(const char *text, const char *field, const char *name)
{
	char expected[RIG_TEXT_MAX];
	long version;

	if (!text || sscanf(text, "%ld/", &version) != 1)
		return RIG_DAMAGED;
	rig_text(expected, field, name, version);
	return strcmp(text, expected) == 0 ? version : RIG_DAMAGED;
}

static inline int rig_put_host(
	struct route_table *table, const char *name, long version, struct ten_error *err)
{
	char service[RIG_TEXT_MAX];
	struct route_target targets[3];
	uint32_t weights[3];
	struct route_put put = {
		.kind = ROUTE_WEIGHTED,
		.name = name,
		.service = service,
		.targets = targets,
		.weights = weights,
		.target_count = 1 + (uint32_t)version % 3,
		.counter = (uint32_t)version,
	};

	rig_text(service, "service", name, version);
	for (uint32_t i = 0; i < put.target_count; i++) {
		targets[i] = (struct route_target){ (uint32_t)version + i, (uint32_t)version * 3 };
		weights[i] = 1 + i;
	}
	return route_table_put_host(table, &put, err);
}

/* The version of NAME that a reader sees now, RIG_NONE or RIG_DAMAGED. */
static inline long rig_host_version(const struct route_table *table, const char *name)
{
	struct route_host host;
	long version;

	route_table_host(table, name, strlen(name), &host);
	if (host.kind == ROUTE_NONE)
		return RIG_NONE;
	if (host.kind != ROUTE_WEIGHTED)
		return RIG_DAMAGED;
	version = rig_text_version(host.service, "service", name);
	if (version < 0 || host.counter != (uint32_t)version ||
		host.target_count != 1 + (uint32_t)version % 3)
		return RIG_DAMAGED;
	for (uint32_t i = 0; i < host.target_count; i++) {
		const struct route_weighted_target *target = &host.targets[i];

		if (target->target.slot != (uint32_t)version + i || target->weight != 1 + i ||
			target->target.incarnation != (uint32_t)version * 3 ||
			target->cumulative != (i + 1) * (i + 2) / 2)
			return RIG_DAMAGED;
	}
	return version;
}

static inline int rig_put_instance(struct route_table *table, struct route_target self,
	const char *name, long version, struct ten_error *err)
{
	char page[RIG_TEXT_MAX], path[32];
	struct route_instance instance = {
		.self = self,
		.name = name,
		.socket_path = path,
		.port = (uint16_t)(version % 60000),
		.uid = (uint32_t)version,
		.wake_queue = (uint32_t)version + 1,
		.max_body_bytes = (uint64_t)version << 33,
		.suspended_page = page,
	};

	snprintf(path, sizeof(path), "/run/%ld", version);
	rig_text(page, "page", name, version);
	return route_table_put_instance(table, &instance, err);
}

static inline long rig_instance_version(
	const struct route_table *table, struct route_target self, const char *name)
{
	struct route_instance instance;
	char path[32];
	long version;

	if (!route_table_instance(table, self, &instance))
		return RIG_NONE;
	version = rig_text_version(instance.suspended_page, "page", name);
	snprintf(path, sizeof(path), "/run/%ld", version);
	if (version < 0 || strcmp(instance.name, name) != 0 || instance.self.slot != self.slot ||
		instance.self.incarnation != self.incarnation || !instance.socket_path ||
		strcmp(instance.socket_path, path) != 0 || instance.port != version % 60000 ||
		instance.uid != (uint32_t)version || instance.wake_queue != (uint32_t)version + 1 ||
		instance.max_body_bytes != (uint64_t)version << 33)
		return RIG_DAMAGED;
	return version;
}

static inline int rig_put_settings(struct route_table *table, long version, struct ten_error *err)
{
	char domain[RIG_TEXT_MAX], html[RIG_TEXT_MAX];
	struct route_cidr cidr = { .prefix = (uint8_t)(version % 129) };
	struct route_error_page page = { .status = 502, .html = html };
	struct route_put_settings put = {
		.base = {
			.domain = domain,
			.max_headers = (uint32_t)version,
			.trusted_proxies = &cidr,
			.trusted_proxy_count = 1,
			.ready = version % 2,
		},
		.error_pages = &page,
		.error_page_count = 1,
	};

	rig_text(domain, "domain", "settings", version);
	rig_text(html, "html", "settings", version);
	return route_table_put_settings(table, &put, err);
}

static inline long rig_settings_version(const struct route_table *table)
{
	struct route_settings settings;
	struct route_error_page page;
	long version;

	if (!route_table_settings(table, &settings))
		return RIG_NONE;
	version = rig_text_version(settings.domain, "domain", "settings");
	if (version < 0 || settings.max_headers != (uint32_t)version ||
		settings.ready != (version % 2 == 1) || settings.trusted_proxy_count != 1 ||
		settings.trusted_proxies[0].prefix != version % 129 ||
		!route_settings_error_page(table, &settings, 502, &page) ||
		rig_text_version(page.html, "html", "settings") != version)
		return RIG_DAMAGED;
	return version;
}

#endif
