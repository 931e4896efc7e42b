/*
 * How many connections each client address has, in all workers together.
 *
 * A table in shared memory, changed by compare-and-swap alone. A place holds 40 bits of a keyed
 * hash of the address and a count of 24 bits. An address keeps its place when its count falls to 0,
 * so the way to it stays whole; the place is given to another only where no empty one is near. The
 * one thing that is not exact: two workers that meet an address for the first time in the same
 * instant, where just then a place is being given away, may count it in two places; each sees the
 * other's the next time, for the sum of all is what is bounded.
 *
 * Where PROBES places in a row are in use by others, which takes some fifty thousand addresses that
 * are connected at the same time, an address is let in uncounted.
 */
#ifndef TEN_BOARD_PEERS_H
#define TEN_BOARD_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

#define BOARD_PEER_NONE UINT32_MAX

/* One more connection of ADDRESS (IPv4 as ::ffff:a.b.c.d; of an IPv6 address its /64 counts) in
 * worker WORKER. False: it has MOST. *PLACE is what is given back; BOARD_PEER_NONE: it was not
 * counted. */
bool board_peers_take(struct board *board, uint32_t worker, const uint8_t address[16],
	uint32_t most, uint32_t *place);
void board_peers_give(struct board *board, uint32_t worker, uint32_t place);

/* What a dead worker held at PLACE. */
void board_peers_subtract(struct board *board, uint32_t place, uint32_t held);

/* What stands for ADDRESS, as above; keyed, so that nobody can choose it. */
uint64_t board_peer_hash(const struct board *board, const uint8_t address[16]);

/* The sum of all, for tests and people. */
uint64_t board_peers_sum(const struct board *board);

#endif
