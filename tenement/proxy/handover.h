/*
 * A worker that is replaced by another gives it the client connections that are idle, through a
 * socket of their lane that neither of them owns: what lies in it when one of them dies is read by
 * the next. A request that arrives meanwhile waits in the connection; so there is no moment at
 * which a kept connection is closed under a client that is about to use it.
 *
 * What is in flight is finished first. Streams and upgraded connections stay where they are, until
 * they end or the settings' drain timeout is over.
 */
#ifndef TEN_PROXY_HANDOVER_H
#define TEN_PROXY_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "route_table.h"

struct worker;
struct client;

/* What goes along with the descriptor. Fields are only ever added at the end: who knows less
 * ignores them, who knows more finds zeros. */
struct handover_client {
	uint32_t magic;
	uint16_t size; /* of this, as its writer knows it */
	uint8_t served;
	uint8_t has_address;
	uint32_t idle_ms; /* for how long it has been idle */
	uint8_t address[16];
	uint8_t to_be_introduced; /* its PROXY header is still to come */
	/* What it counts for in limits goes over with it (admit.h). */
	uint8_t counted;
	uint8_t peer_counted;
	struct route_target counted_for;
	uint32_t peer_place;
	uint8_t for_api;
};

/* The sockets of the lane; to be called before the worker runs. */
void handover_init(struct worker *worker, int in, int out);

/* Read what predecessors send, from now on. */
void handover_start(struct worker *worker);

/* Told to leave: stop accepting, hand over what is idle, and what becomes idle later. */
void handover_retire(struct worker *worker);

/* CLIENT has become idle in a worker that retires. True: it is gone. False: the successor takes no
 * more at the moment; it is idle here until that changes. */
bool handover_give(struct client *client);

/* At the end of each turn. */
void handover_turn(struct worker *worker);

#endif
