/*
 * Who may wake tenants how often, in all workers together (max_wakes_per_minute_per_ip,
 * max_wakes_per_minute), and which of the requests that find one asleep is the one that wakes it.
 *
 * A rate of N a minute is kept as in limit.h: N at once, and then one each 60/N seconds. Nothing of
 * it is held, so a worker that dies leaves nothing to be mended. Addresses have places in a hash
 * table, as in board_peers.h, which are given to others when their time has passed; where PROBES in
 * a row are taken by others, an address goes uncounted. Two addresses near each other whose tags
 * of 24 bits are the same share a budget.
 *
 * A claim is on one sleep of one slot. The first request that finds the tenant asleep has it, and
 * alone counts; while it looks whether it may, the others wait for a moment, and when it may, they
 * join. The daemon takes the claim away before it says that the tenant sleeps again. A claim whose
 * worker died before it had looked is another's after WAKE_CLAIM_MS.
 */
#ifndef TEN_BOARD_WAKES_H
#define TEN_BOARD_WAKES_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

#define WAKE_CLAIM_MS 100

enum wake_claim {
	WAKE_CLAIM_MINE,   /* to be granted or let go of */
	WAKE_CLAIM_BUSY,   /* somebody looks whether it may: ask again in a moment */
	WAKE_CLAIM_JOINED, /* it is being woken */
};

/* NOW_MS is CLOCK_MONOTONIC here and below. *MARK is by which the claim is known. */
enum wake_claim board_wake_claim(
	struct board *board, uint32_t slot, uint64_t now_ms, uint64_t *mark);
void board_wake_grant(struct board *board, uint32_t slot, uint64_t mark);
void board_wake_let_go(struct board *board, uint32_t slot, uint64_t mark);

/* SLOT is about to fall asleep, or to be given up. */
void board_wake_unclaim(struct board *board, uint32_t slot);

/* One more wake, if PER_MINUTE (not 0) allows: by ADDRESS (of IPv6 its /64 counts), or of the
 * service with the number COUNTER (less than BOARD_PICKS_MAX). False: *WAIT_MS until one would be
 * allowed. What was taken is given back with *PLACE (NULL: it was not counted): nobody was woken
 * after all. */
bool board_wakes_take_address(struct board *board, const uint8_t address[16], uint64_t now_ms,
	uint32_t per_minute, _Atomic uint64_t **place, uint64_t *wait_ms);
bool board_wakes_take_service(struct board *board, uint32_t counter, uint64_t now_ms,
	uint32_t per_minute, _Atomic uint64_t **place, uint64_t *wait_ms);
void board_wakes_give(_Atomic uint64_t *place, uint32_t per_minute);

#endif
