/*
 * Bells: the proxy's, which says that a bit on the board is set, and the workers', which say that a
 * state or a route has changed.
 */
#ifndef TEN_WAKE_H
#define TEN_WAKE_H

#include "daemon/daemon.h"

void wake_start(struct daemon *d);
void wake_look(struct daemon *d); /* at all bits, bell or not */
/* After the table is published. */
void wake_ring_workers(struct daemon *d);

/* Whether every worker holds no view older than GENERATION of the routing table. */
bool wake_acknowledged(const struct daemon *d, uint64_t generation);
/* The oldest generation that a worker may still hold a view of. */
uint64_t wake_oldest(const struct daemon *d);

#endif
