/*
 * Finding somebody to answer a request: by the state of its instance it is sent, has to wait, or is
 * refused; and when a connection fails it is tried again where that is safe.
 */
#ifndef TEN_PROXY_DISPATCH_H
#define TEN_PROXY_DISPATCH_H

#include "proxy/route.h"

struct exchange;

/* Act on what the look-up has found. */
void dispatch(struct exchange *exchange, enum route_result result);

/* Look up the host again, then act on that. */
void dispatch_again(struct exchange *exchange);

/* Look at the instance's state and act on it. Called again and again while the exchange waits. */
void dispatch_try(struct exchange *exchange);

/* What it waited for has not come, or the time for another try has. */
void dispatch_wait_expired(struct exchange *exchange);

/* The connection to the tenant failed before any byte of an answer. */
void dispatch_upstream_failed(struct exchange *exchange);

#endif
