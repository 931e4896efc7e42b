#include "board_wakes.h"

#include "board_peers.h"

#define PROBES    32
#define MINUTE_MS 60000u
#define GRANTED   1ull

/* A word: the tag of whose it is, and when the next wake would come if those before it had come
 * evenly, in milliseconds. */
#define TIME_BITS 40
#define TIME_MASK ((1ull << TIME_BITS) - 1)

/* ---- claims ----
 *
 * 0: none. GRANTED. Else when it was claimed, in milliseconds, times 2 with the lowest bit 0. */

enum wake_claim board_wake_claim(
	struct board *board, uint32_t slot, uint64_t now_ms, uint64_t *mark)
{
	_Atomic uint64_t *claim = &board->slots[slot].wake_claim;
	uint64_t seen = atomic_load(claim);

	*mark = (now_ms + 1) << 1;
	do {
		if (seen == GRANTED)
			return WAKE_CLAIM_JOINED;
		/* One of the future was never made. */
		if (seen && seen <= *mark && *mark - seen < WAKE_CLAIM_MS << 1)
			return WAKE_CLAIM_BUSY;
	} while (!atomic_compare_exchange_weak(claim, &seen, *mark));
	return WAKE_CLAIM_MINE;
}

void board_wake_grant(struct board *board, uint32_t slot, uint64_t mark)
{
	atomic_compare_exchange_strong(&board->slots[slot].wake_claim, &mark, GRANTED);
}

void board_wake_let_go(struct board *board, uint32_t slot, uint64_t mark)
{
	atomic_compare_exchange_strong(&board->slots[slot].wake_claim, &mark, 0);
}

void board_wake_unclaim(struct board *board, uint32_t slot)
{
	atomic_store(&board->slots[slot].wake_claim, 0);
}

/* ---- rates ---- */

static uint64_t interval_of(uint32_t per_minute)
{
	return (MINUTE_MS - 1) / per_minute + 1;
}

/* What WORD becomes by one more; 0: it is not allowed. */
static uint64_t word_next(
	uint64_t word, uint64_t tag, uint64_t now_ms, uint32_t per_minute, uint64_t *wait_ms)
{
	uint64_t interval = interval_of(per_minute);
	uint64_t most = now_ms + interval * per_minute;
	uint64_t at = word & TIME_MASK;
	uint64_t next = (at > now_ms ? at : now_ms) + interval;

	if (next <= most)
		return tag << TIME_BITS | (next & TIME_MASK);
	/* Further ahead than any rate brings it: nonsense, which is to hold nobody back for long.
	 */
	*wait_ms = next - most < 2 * MINUTE_MS ? next - most : MINUTE_MS;
	return next - most < 2 * MINUTE_MS ? 0 : tag << TIME_BITS | (most & TIME_MASK);
}

/* The place of TAG, or one that it may have; NULL: there is none. */
static _Atomic uint64_t *place_find(
	struct board *board, uint64_t tag, uint32_t first, uint64_t now_ms, uint64_t *word)
{
	_Atomic uint64_t *unused = NULL;
	uint64_t unused_word = 0;

	for (uint32_t i = 0; i < PROBES; i++) {
		_Atomic uint64_t *place = &board->wakers[(first + i) % BOARD_PEERS];
		uint64_t seen = atomic_load_explicit(place, memory_order_relaxed);

		if (seen && seen >> TIME_BITS == tag) {
			*word = seen;
			return place;
		}
		if (!unused && (seen & TIME_MASK) <= now_ms) {
			unused = place;
			unused_word = seen;
		}
		if (!seen)
			break;
	}
	*word = unused_word;
	return unused;
}

bool board_wakes_take_address(struct board *board, const uint8_t address[16], uint64_t now_ms,
	uint32_t per_minute, _Atomic uint64_t **place, uint64_t *wait_ms)
{
	uint64_t value = board_peer_hash(board, address);
	uint32_t first = (uint32_t)(value % BOARD_PEERS);
	uint64_t tag = value >> TIME_BITS ? value >> TIME_BITS : 1;
	_Atomic uint64_t *found;
	uint64_t word, next;

	*place = NULL;
	do {
		found = place_find(board, tag, first, now_ms, &word);
		if (!found)
			return true;
		next = word_next(
			word >> TIME_BITS == tag ? word : 0, tag, now_ms, per_minute, wait_ms);
		if (!next)
			return false;
	} while (!atomic_compare_exchange_weak(found, &word, next));
	*place = found;
	return true;
}

bool board_wakes_take_service(struct board *board, uint32_t counter, uint64_t now_ms,
	uint32_t per_minute, _Atomic uint64_t **place, uint64_t *wait_ms)
{
	uint64_t word, next;

	*place = &board->service_wakes[counter];
	word = atomic_load(*place);
	do {
		next = word_next(word, 0, now_ms, per_minute, wait_ms);
		if (!next)
			return false;
	} while (!atomic_compare_exchange_weak(*place, &word, next));
	return true;
}

/* Whose place it has become meanwhile pays nothing: its own time has passed, then. */
void board_wakes_give(_Atomic uint64_t *place, uint32_t per_minute)
{
	uint64_t word, interval;

	if (!place)
		return;
	interval = interval_of(per_minute);
	word = atomic_load(place);
	while ((word & TIME_MASK) >= interval &&
		!atomic_compare_exchange_weak(place, &word, word - interval))
		;
}
