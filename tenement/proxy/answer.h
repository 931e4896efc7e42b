/*
 * Answers of our own: small JSON, or HTML for who asks for that. They name no path and no pid.
 */
#ifndef TEN_PROXY_ANSWER_H
#define TEN_PROXY_ANSWER_H

#include <stdint.h>

struct exchange;
struct route_instance;

/* Put an error into EXCHANGE's .top. RETRY_AFTER: in how many seconds to come again; NULL: nothing
 * is said of that. -1: out of memory. */
int answer_error(
	struct exchange *exchange, uint16_t status, const char *text, const char *retry_after);

/* The page of a suspended tenant. */
int answer_suspended(struct exchange *exchange, const struct route_instance *instance);

/* What /health of the root domain says. */
int answer_health(struct exchange *exchange);

/* That the tenant sleeps, and all is well. */
int answer_asleep(struct exchange *exchange);

#endif
