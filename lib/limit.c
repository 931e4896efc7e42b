#include "limit.h"

#define SECOND_NS 1000000000u

uint32_t limit_interval_ns(uint32_t rate)
{
	return rate ? (SECOND_NS - 1) / rate + 1 : 0;
}

/* Further ahead than this limit can have brought it, by more than a slow reader of the clock
 * explains: it was another limit, or another tenant's. */
#define STRANGE_NS SECOND_NS

bool limit_rate_take(_Atomic uint64_t *at_ns, uint64_t now_ns, uint32_t interval_ns, uint32_t burst,
	uint64_t *wait_ns)
{
	uint64_t most = now_ns + (uint64_t)interval_ns * (burst ? burst : 1);
	uint64_t seen = atomic_load_explicit(at_ns, memory_order_relaxed);

	for (;;) {
		uint64_t from = seen > now_ns ? seen : now_ns;
		bool is_strange = seen > most && seen - most > STRANGE_NS;
		uint64_t next = is_strange ? most : from + interval_ns;

		if (next > most) {
			*wait_ns = next - most;
			return false;
		}
		if (!atomic_compare_exchange_weak_explicit(
			    at_ns, &seen, next, memory_order_relaxed, memory_order_relaxed))
			continue;
		if (!is_strange)
			return true;
		seen = next; /* it begins anew with nothing to spare */
	}
}

bool limit_count_take(_Atomic uint32_t *count, _Atomic uint32_t *ledger, uint32_t most)
{
	uint32_t held = atomic_load_explicit(ledger, memory_order_relaxed);
	uint32_t seen = atomic_load_explicit(count, memory_order_relaxed);

	if (seen >= most)
		return false;
	atomic_store_explicit(ledger, held + 1, memory_order_relaxed);
	do {
		if (seen >= most) {
			atomic_store_explicit(ledger, held, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		count, &seen, seen + 1, memory_order_acq_rel, memory_order_relaxed));
	return true;
}

void limit_count_subtract(_Atomic uint32_t *count, uint32_t held)
{
	uint32_t seen = atomic_load_explicit(count, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(count, &seen, seen > held ? seen - held : 0,
		memory_order_acq_rel, memory_order_relaxed))
		;
}

void limit_count_give(_Atomic uint32_t *count, _Atomic uint32_t *ledger)
{
	uint32_t held = atomic_load_explicit(ledger, memory_order_relaxed);

	limit_count_subtract(count, 1);
	atomic_store_explicit(ledger, held ? held - 1 : 0, memory_order_relaxed);
}
