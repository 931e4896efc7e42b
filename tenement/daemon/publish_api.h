/*
 * The management API in the routing table: a target like a tenant's, whose socket is the daemon's
 * own, so that the proxy brings requests to it by the way that it brings all others.
 */
#ifndef TEN_PUBLISH_API_H
#define TEN_PUBLISH_API_H

#include "daemon/daemon.h"

/* SEEN is it, as an earlier life left it: goes on with that. False: it is another. */
bool publish_api_take_over(struct daemon *d, const struct route_instance *seen);

/* Publish it, if it is not. After control_start(). */
int publish_api(struct daemon *d, struct ten_error *err);

#endif
