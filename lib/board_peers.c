#include "board_peers.h"

#include <string.h>

#define PROBES     32
#define COUNT_BITS 24
#define COUNT_MASK ((1ull << COUNT_BITS) - 1)

static uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 of 16 bytes: who chooses addresses cannot choose their places. */
static uint64_t hash(const uint64_t key[2], const uint64_t words[2])
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
		key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull };
	const uint64_t blocks[] = { words[0], words[1], 16ull << 56 };

	for (int i = 0; i < 3; i++) {
		v[3] ^= blocks[i];
		sip_round(v);
		v[0] ^= blocks[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t board_peer_hash(const struct board *board, const uint8_t address[16])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	/* Who has one address of a /64 has all of it. */
	if (memcmp(address, v4, sizeof(v4)) != 0)
		words[1] = 0;
	return hash(board->peer_key, words);
}

/* What is known of an address after a look along its way. */
struct found {
	uint32_t own;   /* its place; BOARD_PEER_NONE: none */
	uint32_t free;  /* the place it may take: an empty one, else one that counts nothing */
	uint64_t word;  /* what was in that of the two */
	uint64_t total; /* of all its places */
};

static void look(struct board *board, uint64_t tag, uint32_t first, struct found *found)
{
	*found = (struct found){ .own = BOARD_PEER_NONE, .free = BOARD_PEER_NONE };
	for (uint32_t i = 0; i < PROBES; i++) {
		uint32_t place = (first + i) % BOARD_PEERS;
		uint64_t word = atomic_load_explicit(&board->peers[place], memory_order_acquire);

		if (word >> COUNT_BITS == tag) {
			if (found->own == BOARD_PEER_NONE)
				found->word = word;
			if (found->own == BOARD_PEER_NONE)
				found->own = place;
			found->total += word & COUNT_MASK;
		} else if (!(word & COUNT_MASK) && found->own == BOARD_PEER_NONE &&
			   (found->free == BOARD_PEER_NONE || !word)) {
			found->free = place;
			found->word = word;
		}
		if (!word)
			return;
	}
}

bool board_peers_take(struct board *board, uint32_t worker, const uint8_t address[16],
	uint32_t most, uint32_t *place)
{
	uint64_t value = board_peer_hash(board, address);
	uint32_t first = (uint32_t)(value % BOARD_PEERS);
	uint64_t tag = value >> COUNT_BITS ? value >> COUNT_BITS : 1;

	if (most > COUNT_MASK)
		most = COUNT_MASK;
	for (;;) {
		_Atomic uint32_t *ledger;
		struct found found;
		bool known;
		uint64_t next;
		uint32_t held;

		look(board, tag, first, &found);
		if (found.total >= most)
			return false;
		known = found.own != BOARD_PEER_NONE;
		*place = known ? found.own : found.free;
		if (*place == BOARD_PEER_NONE)
			return true;
		next = known ? found.word + 1 : tag << COUNT_BITS | 1;
		ledger = &board->peer_ledgers[worker][*place];
		held = atomic_load_explicit(ledger, memory_order_relaxed);
		/* The ledger first: see limit.h. */
		atomic_store_explicit(ledger, held + 1, memory_order_relaxed);
		if (atomic_compare_exchange_strong_explicit(&board->peers[*place], &found.word,
			    next, memory_order_acq_rel, memory_order_relaxed))
			return true;
		atomic_store_explicit(ledger, held, memory_order_relaxed);
	}
}

void board_peers_subtract(struct board *board, uint32_t place, uint32_t held)
{
	uint64_t seen = atomic_load_explicit(&board->peers[place], memory_order_relaxed);
	uint64_t taken;

	if (!held)
		return;
	do {
		taken = (seen & COUNT_MASK) > held ? held : seen & COUNT_MASK;
	} while (!atomic_compare_exchange_weak_explicit(&board->peers[place], &seen, seen - taken,
		memory_order_acq_rel, memory_order_relaxed));
}

void board_peers_give(struct board *board, uint32_t worker, uint32_t place)
{
	_Atomic uint32_t *ledger = &board->peer_ledgers[worker][place];
	uint32_t held = atomic_load_explicit(ledger, memory_order_relaxed);

	board_peers_subtract(board, place, 1);
	atomic_store_explicit(ledger, held ? held - 1 : 0, memory_order_relaxed);
}

uint64_t board_peers_sum(const struct board *board)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BOARD_PEERS; i++)
		sum += atomic_load_explicit(&board->peers[i], memory_order_relaxed) & COUNT_MASK;
	return sum;
}
