/*
 * Failed tries by address: who brought TRIES_MAX wrong tokens within a minute is refused until that
 * minute is over, right token or wrong; nobody else is, and nobody waits.
 *
 * Memory is bounded: a table of sets of a few places each. Which set an address falls into depends
 * on a seed that nobody outside knows. Where a set is full the one with the fewest failures goes,
 * so that to be forgotten before its minute is over an address needs as many failures of so many
 * others that it could as well have tried from those.
 */
#ifndef TEN_TRIES_H
#define TEN_TRIES_H

#include <stdbool.h>
#include <stdint.h>

#define TRIES_MAX       10u
#define TRIES_WINDOW_MS 60000u

struct tries;

struct tries *tries_new(uint64_t seed);
void tries_free(struct tries *tries);

/* Whether ADDRESS (IPv4, IPv6 of which the first 64 bits count, or any other word for a client) may
 * try at NOW_MS, of a clock that never goes back. False: in *RETRY_AFTER_SECS how long it is to
 * wait, at least 1. */
bool tries_allowed(const struct tries *tries, const char *address, uint64_t now_ms,
	unsigned *retry_after_secs);

/* A failure of it. True: with this one it has used up its tries. */
bool tries_failed(struct tries *tries, const char *address, uint64_t now_ms);

#endif
