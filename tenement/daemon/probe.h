/*
 * One HTTP GET to a tenant, to ask how it is. Health checks do not count as use. However it answers
 * (drip by drip, without end, by garbage or by a redirect) a probe takes its timeout and the first
 * bytes of the answer and no more; a redirect is not followed.
 */
#ifndef TEN_PROBE_H
#define TEN_PROBE_H

#include <stdbool.h>

#include "daemon/instance.h"

struct probe;

/* GET PATH; DONE is called once, from the loop, with NULL for an answer of 2xx or 3xx, else with
 * the reason. Returns a probe to be given to probe_cancel() until then; or NULL: it is we who have
 * no descriptor or memory for it, which says nothing of the tenant. */
struct probe *probe_start(struct daemon *d, const struct run *run, const char *path, double timeout,
	void (*done)(void *data, const char *problem), void *data);
void probe_cancel(struct daemon *d, struct probe *probe); /* NULL is allowed */

/* Connect to what RUN serves by: -1 with errno, never blocking (a unix socket's queue that is full
 * is EAGAIN). */
int probe_connect(const struct run *run);

#endif
