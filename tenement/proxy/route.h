/*
 * Where a request goes: from its host, and on the root domain its path, to an instance.
 */
#ifndef TEN_PROXY_ROUTE_H
#define TEN_PROXY_ROUTE_H

#include <stdbool.h>

struct exchange;
struct http_head;

enum route_result {
	ROUTE_FOUND,     /* exchange->target is set */
	ROUTE_NOBODY,    /* 404 */
	ROUTE_NO_WEIGHT, /* a route all of whose weights are 0 */
	ROUTE_NOT_LOCAL, /* 403: the management API, from elsewhere than here */
	ROUTE_HEALTH,    /* our own /health was asked for */
	ROUTE_ASKS,      /* it waits for the daemon's answer to an ask */
	ROUTE_ASKS_FULL, /* too many are asked for already */
	ROUTE_NOT_WOKEN, /* it may not ask: see firewall_refuse() */
};

/* The first time, by the request's head. */
enum route_result route_request(struct exchange *exchange, const struct http_head *head);

/* Once more, for the table has changed. A target that the route still has is kept. */
enum route_result route_again(struct exchange *exchange);

#endif
