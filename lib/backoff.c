#include "backoff.h"

#define JITTER 0.2

/* FNV-1a over the name, then the finalizer of splitmix64, which makes neighbours strangers. */
double backoff_share(const char *key, uint64_t turn)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3ull;
	hash += (turn + 1) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9ull;
	hash = (hash ^ hash >> 27) * 0x94d049bb133111ebull;
	hash ^= hash >> 31;
	return (double)(hash >> 11) / (double)(1ull << 53);
}

uint64_t backoff_delay_ms(uint64_t base_ms, uint64_t max_ms, size_t failures, double share)
{
	double most = (double)max_ms;
	double delay = (double)base_ms;

	for (size_t i = 1; i < failures && delay < most; i++)
		delay *= 2;
	if (delay > most)
		delay = most;
	delay *= 1 - JITTER + 2 * JITTER * share;
	return (uint64_t)(delay < most ? delay : most);
}
