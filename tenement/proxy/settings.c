#include "settings.h"

#include <stdio.h>
#include <string.h>

#define MAX_HEADER_BYTES_DEFAULT (16 * 1024)
#define MAX_HEADER_BYTES_LEAST   1024
#define NEVER_MS                 (7 * 24 * 3600 * 1000)
#define MAX_HEADER_BYTES_MOST    (1024 * 1024)

static uint32_t timeout_or_never(uint32_t timeout_ms)
{
	return timeout_ms ? timeout_ms : NEVER_MS;
}

void settings_load(struct settings *settings, const struct route_table *table)
{
	struct route_settings view;

	*settings = (struct settings){
		.domain = "localhost",
		.max_header_bytes = MAX_HEADER_BYTES_DEFAULT,
		.max_headers = 100,
		.client_header_timeout_ms = 10 * 1000,
		.client_body_timeout_ms = 30 * 1000,
		.keepalive_timeout_ms = 75 * 1000,
		.upgrade_drain_timeout_ms = 300 * 1000,
	};
	if (!route_table_settings(table, &view))
		return;
	snprintf(settings->domain, sizeof(settings->domain), "%s", view.domain ? view.domain : "");
	settings->max_header_bytes = view.max_header_bytes;
	if (settings->max_header_bytes < MAX_HEADER_BYTES_LEAST)
		settings->max_header_bytes = MAX_HEADER_BYTES_LEAST;
	if (settings->max_header_bytes > MAX_HEADER_BYTES_MOST)
		settings->max_header_bytes = MAX_HEADER_BYTES_MOST;
	settings->max_headers = view.max_headers;
	settings->client_header_timeout_ms = timeout_or_never(view.client_header_timeout_ms);
	settings->client_body_timeout_ms = timeout_or_never(view.client_body_timeout_ms);
	settings->keepalive_timeout_ms = view.keepalive_timeout_ms;
	settings->max_connections_per_ip = view.max_connections_per_ip;
	settings->max_wakes_per_minute_per_ip = view.max_wakes_per_minute_per_ip;
	settings->upgrade_drain_timeout_ms = view.upgrade_drain_timeout_ms;
	settings->traces = view.trace > 0;
	settings->trace_sample = view.trace ? view.trace - 1 : 0;
	settings->trusted_count = view.trusted_proxy_count < ROUTE_CIDRS_MAX
					  ? view.trusted_proxy_count
					  : ROUTE_CIDRS_MAX;
	if (settings->trusted_count)
		memcpy(settings->trusted, view.trusted_proxies,
			settings->trusted_count * sizeof(settings->trusted[0]));
	settings->ready = view.ready;
}

static bool cidr_holds(const struct route_cidr *cidr, const uint8_t address[16])
{
	uint8_t prefix = cidr->prefix <= 128 ? cidr->prefix : 128;
	size_t bytes = prefix / 8;
	unsigned bits = prefix % 8;
	uint8_t mask = (uint8_t)(0xff00u >> bits);

	if (memcmp(cidr->address, address, bytes))
		return false;
	return !bits || !((cidr->address[bytes] ^ address[bytes]) & mask);
}

bool settings_trusts(const struct settings *settings, const uint8_t address[16])
{
	for (uint32_t i = 0; i < settings->trusted_count; i++)
		if (cidr_holds(&settings->trusted[i], address))
			return true;
	return false;
}
