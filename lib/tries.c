#include "tries.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "option_value.h"
#include "sticky.h"

#define SETS   1024 /* a power of two */
#define PLACES 8

struct place {
	uint64_t who; /* 0: nobody */
	uint64_t begun_ms;
	uint32_t failures;
};

struct tries {
	uint64_t seed;
	struct place places[SETS][PLACES];
};

struct tries *tries_new(uint64_t seed)
{
	struct tries *tries = mem_alloc(sizeof(*tries));

	tries->seed = seed;
	return tries;
}

void tries_free(struct tries *tries)
{
	free(tries);
}

static size_t set_of(const struct tries *tries, uint64_t who)
{
	const uint64_t seeded[] = { tries->seed, who };

	return option_hash_bytes(seeded, sizeof(seeded), tries->seed) % SETS;
}

static bool is_over(const struct place *place, uint64_t now_ms)
{
	return now_ms - place->begun_ms >= TRIES_WINDOW_MS;
}

/* The place of WHO while its minute runs, or NULL. */
static const struct place *find(const struct tries *tries, uint64_t who, uint64_t now_ms)
{
	const struct place *set = tries->places[set_of(tries, who)];

	for (int i = 0; i < PLACES; i++)
		if (set[i].who == who && !is_over(&set[i], now_ms))
			return &set[i];
	return NULL;
}

bool tries_allowed(
	const struct tries *tries, const char *address, uint64_t now_ms, unsigned *retry_after_secs)
{
	const struct place *place = find(tries, sticky_visitor(address, strlen(address)), now_ms);

	if (!place || place->failures < TRIES_MAX)
		return true;
	*retry_after_secs = (unsigned)((place->begun_ms + TRIES_WINDOW_MS - now_ms + 999) / 1000);
	return false;
}

/* Who goes: whose minute is over, else who failed least, of those the one that began first. */
static bool goes_before(const struct place *a, const struct place *b, uint64_t now_ms)
{
	bool a_over = !a->who || is_over(a, now_ms), b_over = !b->who || is_over(b, now_ms);

	if (a_over != b_over)
		return a_over;
	if (a->failures != b->failures)
		return a->failures < b->failures;
	return a->begun_ms < b->begun_ms;
}

static struct place *take(struct tries *tries, uint64_t who, uint64_t now_ms)
{
	struct place *set = tries->places[set_of(tries, who)], *chosen = set;

	for (int i = 0; i < PLACES; i++) {
		if (set[i].who == who) {
			chosen = &set[i];
			break;
		}
		if (goes_before(&set[i], chosen, now_ms))
			chosen = &set[i];
	}
	if (chosen->who != who || is_over(chosen, now_ms))
		*chosen = (struct place){ .who = who, .begun_ms = now_ms };
	return chosen;
}

bool tries_failed(struct tries *tries, const char *address, uint64_t now_ms)
{
	struct place *place = take(tries, sticky_visitor(address, strlen(address)), now_ms);

	if (place->failures < TRIES_MAX)
		place->failures++;
	return place->failures == TRIES_MAX;
}
