/*
 * The wake firewall: which requests wake a tenant that sleeps, and how often. Looked at only where
 * a request is about to wait for its tenant, so that those who are served pay nothing.
 *
 * A request that would not wake its tenant from sleep, while that is going down or coming up,
 * waits without asking for anything (exchange.quiet): it is served when the tenant is up again for
 * another reason, and refused when it has fallen asleep.
 */
#ifndef TEN_PROXY_FIREWALL_H
#define TEN_PROXY_FIREWALL_H

#include <stdbool.h>

#include "route_table.h"

struct exchange;
struct http_head;

/* Whether EXCHANGE may wait for INSTANCE; .quiet says how. False: it has been answered. */
bool firewall_passes(struct exchange *exchange, const struct route_instance *instance);

/* EXCHANGE is about to wake INSTANCE if that is asleep: whether it may. *RETRY_MS is changed where
 * that is not known yet. False: it has been answered. */
bool firewall_admits(
	struct exchange *exchange, const struct route_instance *instance, uint32_t *retry_ms);

/* Whether a request with HEAD may ask for an undeclared instance of SERVICE: that counts as its
 * wake, unless it JOINS others that ask for the same. False: see firewall_refuse(). */
bool firewall_may_ask(
	struct exchange *exchange, const struct http_head *head, const char *service, bool joins);
/* It got nothing for it: that is not counted, then. */
void firewall_pay_back(struct exchange *exchange);
/* What it asked for is known now, or is not (FOUND): so likewise if somebody else has woken it. */
void firewall_settle(struct exchange *exchange, bool found);
void firewall_refuse(struct exchange *exchange);

#endif
