/*
 * The proxy's settings as the routing table says them, copied so that no view of it is kept.
 */
#ifndef TEN_PROXY_SETTINGS_H
#define TEN_PROXY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"

struct settings {
	char domain[ROUTE_HOST_MAX + 1];
	uint32_t max_header_bytes;
	uint32_t max_headers;
	uint32_t client_header_timeout_ms;
	uint32_t client_body_timeout_ms;
	uint32_t keepalive_timeout_ms;
	uint32_t max_connections_per_ip; /* 0: no bound */
	uint32_t max_wakes_per_minute_per_ip;
	uint32_t upgrade_drain_timeout_ms;
	bool traces;
	uint32_t trace_sample; /* hundredths */
	struct route_cidr trusted[ROUTE_CIDRS_MAX];
	uint32_t trusted_count;
	bool ready; /* the first reconcile is done */
};

/* Read them afresh; where none are published yet, the defaults, and not ready. */
void settings_load(struct settings *settings, const struct route_table *table);

/* ADDRESS (IPv4 as ::ffff:a.b.c.d) is in a trusted network. */
bool settings_trusts(const struct settings *settings, const uint8_t address[16]);

#endif
