#include "sticky.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TAG_DIGITS  16
#define ADDRESS_MAX 64

const char *const sticky_names[STICKY_KINDS] = {
	[STICKY_NONE] = "none",
	[STICKY_COOKIE] = "cookie",
	[STICKY_IP] = "ip",
};

/* Every bit of the result depends on every bit of WORD (the finalizer of splitmix64). */
static uint64_t mix(uint64_t word)
{
	word ^= word >> 30;
	word *= 0xbf58476d1ce4e5b9ull;
	word ^= word >> 27;
	word *= 0x94d049bb133111ebull;
	return word ^ word >> 31;
}

static uint64_t hash(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *bytes = data;
	uint64_t value = 0xcbf29ce484222325ull ^ seed;

	for (size_t i = 0; i < len; i++)
		value = (value ^ bytes[i]) * 0x100000001b3ull;
	value = mix(value);
	return value ? value : 1;
}

uint64_t sticky_tag(const char *name)
{
	return hash(name, strlen(name), 0);
}

uint64_t sticky_visitor(const char *address, size_t len)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[ADDRESS_MAX];
	unsigned char bytes[16];

	if (len >= sizeof(text))
		return hash(address, len, 1);
	/* "[::1]" is the same as "::1". */
	if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	memcpy(text, address, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, bytes) == 1)
		return hash(bytes, 4, 1);
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return hash(address, len, 1);
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		return hash(bytes + 12, 4, 1);
	return hash(bytes, 8, 1);
}

/* ---- the cookie ---- */

static uint64_t read_tag(const char *text, size_t len)
{
	uint64_t tag = 0;

	if (len != TAG_DIGITS)
		return 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			tag = tag << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			tag = tag << 4 | (uint64_t)(c - 'a' + 10);
		else
			return 0;
	}
	return tag;
}

/* "tenement_route_SERVICE=TAG" and nothing else. */
static uint64_t read_pair(const char *pair, size_t len, const char *service)
{
	static const char prefix[] = STICKY_COOKIE_PREFIX;
	const size_t prefix_len = sizeof(prefix) - 1;
	size_t service_len = strlen(service);

	if (len != prefix_len + service_len + 1 + TAG_DIGITS ||
		memcmp(pair, prefix, prefix_len) != 0 ||
		memcmp(pair + prefix_len, service, service_len) != 0 ||
		pair[prefix_len + service_len] != '=')
		return 0;
	return read_tag(pair + prefix_len + service_len + 1, TAG_DIGITS);
}

uint64_t sticky_cookie_next(const char *value, size_t len, const char *service, size_t *at)
{
	while (*at < len) {
		const char *pair = value + *at;
		const char *end = memchr(pair, ';', len - *at);
		size_t pair_len = end ? (size_t)(end - pair) : len - *at;
		uint64_t tag;

		*at += pair_len + 1;
		while (pair_len && (*pair == ' ' || *pair == '\t')) {
			pair++;
			pair_len--;
		}
		while (pair_len && (pair[pair_len - 1] == ' ' || pair[pair_len - 1] == '\t'))
			pair_len--;
		tag = read_pair(pair, pair_len, service);
		if (tag)
			return tag;
	}
	return 0;
}

size_t sticky_set_cookie(char *out, size_t size, const char *service, uint64_t tag)
{
	int len = snprintf(out, size,
		STICKY_COOKIE_PREFIX "%s=%016" PRIx64 "; Path=/; HttpOnly; SameSite=Lax", service,
		tag);

	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

/* ---- picking ---- */

uint32_t sticky_find(const struct route_weighted_target *targets, uint32_t count, uint64_t tag)
{
	uint32_t i = 0;

	while (i < count && targets[i].tag != tag)
		i++;
	return i;
}

/* When an event of a rate that is the target's weight comes for the first time: the target whose
 * comes first is each with the probability of its share, and no other's draw depends on it. */
static double draw(const struct route_weighted_target *target, uint64_t visitor)
{
	uint64_t bits = mix(visitor ^ mix(target->tag)) >> 11;
	double uniform = ((double)bits + 0.5) * 0x1p-53;

	return -log(uniform) / (double)target->weight;
}

uint32_t sticky_pick(const struct route_weighted_target *targets, uint32_t count, uint64_t visitor,
	sticky_usable *usable, const void *data)
{
	double best_usable = INFINITY, best = INFINITY;
	uint32_t usable_at = count, at = 0;

	for (uint32_t i = 0; i < count; i++) {
		double when = targets[i].weight ? draw(&targets[i], visitor) : INFINITY;

		if (when < best) {
			best = when;
			at = i;
		}
		if (when < best_usable && usable(data, targets[i].target)) {
			best_usable = when;
			usable_at = i;
		}
	}
	return usable_at < count ? usable_at : at;
}
