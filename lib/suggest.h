/*
 * "Did you mean": the nearest of some names to one that is not among them.
 */
#ifndef TEN_SUGGEST_H
#define TEN_SUGGEST_H

#include <stddef.h>

/* Letters to insert, remove, replace or swap with their neighbour to make B of A. Names longer than
 * 63 bytes are far from everything. */
unsigned suggest_distance(const char *a, const char *b);

struct suggest {
	const char *name; /* what was written */
	const char *best; /* the nearest so far that is near enough, or NULL */
	unsigned distance;
};

/* Begin with suggest_begin(), offer each candidate, read .best. Candidates are kept by pointer. */
struct suggest suggest_begin(const char *name);
void suggest_offer(struct suggest *suggest, const char *candidate);

#endif
