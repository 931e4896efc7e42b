/*
 * Limits that several processes keep together, exactly and without a lock: a rate, and a number of
 * things that are held. All state lies in memory that they share (see board.h).
 */
#ifndef TEN_LIMIT_H
#define TEN_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- a rate ----
 *
 * The generic cell rate algorithm (GCRA, ITU-T I.371). All that is kept is the time at which the
 * next one would come if those before it had come evenly; one more is let through while that is
 * less than BURST intervals ahead of now. So after a pause BURST of them pass at once, and then one
 * per interval. A process that dies leaves nothing to be mended. */

/* Nanoseconds from one to the next at RATE a second; rounded up, so that it is never exceeded. 0
 * for no rate. */
uint32_t limit_interval_ns(uint32_t rate);

/* One more at NOW_NS (CLOCK_MONOTONIC; not 0): true, or false and in *WAIT_NS how long until one
 * would pass. */
bool limit_rate_take(_Atomic uint64_t *at_ns, uint64_t now_ns, uint32_t interval_ns, uint32_t burst,
	uint64_t *wait_ns);

/* ---- a number ----
 *
 * COUNT is shared; LEDGER is what one process holds of it, written by that one alone, and
 * subtracted by another when it has died. The ledger is written first on the way in and last on the
 * way out, so it never says less than what was counted: a death between the two makes COUNT one too
 * low and never too high. That lets one too many in until the next time that COUNT would fall below
 * 0, which it does not. */

/* One more, if it makes no more than MOST. */
bool limit_count_take(_Atomic uint32_t *count, _Atomic uint32_t *ledger, uint32_t most);
void limit_count_give(_Atomic uint32_t *count, _Atomic uint32_t *ledger);

/* What a dead process held. */
void limit_count_subtract(_Atomic uint32_t *count, uint32_t held);

#endif
