/*
 * Where a tenant's lines go, and what they are, as the daemon has published it: looked up in the
 * routing table, so that whoever writes or reads lines knows it at every moment of its life.
 */
#ifndef TEN_LOG_POLICY_H
#define TEN_LOG_POLICY_H

#include "log_to.h"
#include "route_table.h"

/* The bits of SERVICE:ID (log_to.h). *TARGET remembers where it is from one call to the next; it
 * begins as zeroes. TABLE may be NULL. Of who is not published FALLBACK. */
uint32_t log_policy_of(const struct route_table *table, struct route_target *target,
	const char *service, const char *id, uint32_t fallback);

#endif
