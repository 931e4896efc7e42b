/*
 * Who is let in: the limits of an instance and of a client's address. What is held of the shared
 * numbers on the board is given back here as well. Where no limit is set nothing shared is touched.
 */
#ifndef TEN_PROXY_ADMIT_H
#define TEN_PROXY_ADMIT_H

#include <stdbool.h>

#include "route_table.h"

struct client;
struct exchange;
struct handover_client;
struct worker;

/* Whether EXCHANGE may come to INSTANCE at all: its client's connection counts for it from here on
 * (max_connections), and so does the request, once (rate_limit). False: it has been refused. */
bool admit_request(struct exchange *exchange, const struct route_instance *instance);

/* A place among the requests that INSTANCE has in hand (max_concurrent). False: EXCHANGE waits in
 * the queue for it, or has been refused. */
bool admit_place(struct exchange *exchange, const struct route_instance *instance);
void admit_leave_place(struct exchange *exchange);

/* Whether CLIENT may connect, by its address (max_connections_per_ip). */
bool admit_address(struct client *client);

/* CLIENT goes over to another worker, with what it counts for: that stays counted all the while,
 * and only the ledgers change. */
void admit_hand_over(struct client *client);
void admit_take_over(struct client *client, const struct handover_client *state);

/* CLIENT is closed: it counts for nothing any more. */
void admit_forget(struct client *client);

/* The table is of another generation: no client counts for an instance that is gone. */
void admit_examine(struct worker *worker);

#endif
