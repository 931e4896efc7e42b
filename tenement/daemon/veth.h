/*
 * The link between the machine and a tenant with a network of its own: a pair of interfaces, an
 * address at each end, and how fast it is. It goes with the tenant's network namespace.
 */
#ifndef TEN_VETH_H
#define TEN_VETH_H

#include "daemon/instance.h"

/* Make RUN's, whose process is there and waits, and set up the tenant's end. *TAKEN: an interface
 * of that name is still there, another place has to be tried. */
int veth_make(
	struct daemon *d, const struct run *run, int64_t mbit, bool *taken, struct ten_error *err);

/* Bound both directions of RUN's to MBIT; 0: no more. */
int veth_set_bandwidth(
	struct daemon *d, const struct run *run, int64_t mbit, struct ten_error *err);

/* Whether such links, and bounds on them, can be had here: 0, or -1 with *err. The first leaves one
 * behind for the second, in what is a namespace for trying. */
int veth_probe(struct daemon *d, struct ten_error *err);
int veth_probe_bandwidth(struct daemon *d, struct ten_error *err);

/* Remove what an earlier life left and none of those that run has. */
void veth_sweep(struct daemon *d);

#endif
