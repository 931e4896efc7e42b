#include "suggest.h"

#include <limits.h>
#include <string.h>

enum { LONGEST = 63 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	/* The rows of the table for the last two letters of A and the one at hand. */
	unsigned rows[3][LONGEST + 1];
	unsigned *two_ago = rows[0], *last = rows[1], *row = rows[2];

	if (a_len > LONGEST || b_len > LONGEST)
		return UINT_MAX;
	for (unsigned j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = last[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = least(row[j], least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_ago[j - 2] + 1);
		}
		unsigned *spare = two_ago;
		two_ago = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

struct suggest suggest_begin(const char *name)
{
	return (struct suggest){ .name = name, .distance = UINT_MAX };
}

void suggest_offer(struct suggest *suggest, const char *candidate)
{
	unsigned distance = suggest_distance(suggest->name, candidate);
	size_t len = strlen(suggest->name);
	unsigned near = len < 4 ? 1 : len < 9 ? 2 : 3;

	/* What shares no letter with the name is no suggestion, however short both are. */
	if (distance > near || distance >= len || distance >= suggest->distance)
		return;
	suggest->best = candidate;
	suggest->distance = distance;
}
