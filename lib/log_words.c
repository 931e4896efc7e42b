#include "log_words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define TABLE_BITS 12 /* to begin with */

/* clang-format off */
const uint8_t log_words_fold[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 0, 0, 0, 0, 0, 0,
	0, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
	112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 0, 0, 0, 0, 0,
	0, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
	112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 0, 0, 0, 0, 0,
	128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143,
	144, 145, 146, 147, 148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159,
	160, 161, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 174, 175,
	176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191,
	192, 193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 205, 206, 207,
	208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220, 221, 222, 223,
	224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239,
	240, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255,
};
/* clang-format on */

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c);
}

/* How many bytes of "\x1b[1;31m" there are from AT on; 0: it is none. */
static size_t colour_length(const char *text, size_t len, size_t at)
{
	size_t end = at + 5;

	if (len - at < 6 || memcmp(text + at, "\\x1b[", 5) != 0)
		return 0;
	while (end < len && (isdigit((unsigned char)text[end]) || strchr(";?", text[end])))
		end++;
	return end < len ? end + 1 - at : end - at;
}

/* What to skip of the backslash at AT. */
static size_t skip_backslash(const char *text, size_t len, size_t at, bool *escaped)
{
	size_t colour = colour_length(text, len, at);

	if (colour)
		return colour;
	if (len - at >= 4 && text[at + 1] == 'x' && is_hex(text[at + 2]) && is_hex(text[at + 3]))
		return 4;
	if (len - at < 2 || !memchr("nrtbf", text[at + 1], 5))
		return 1;
	if (len - at == 2 || !log_words_fold[(uint8_t)text[at + 2]])
		return 2;
	*escaped = true;
	return 1;
}

bool log_words_next(const char *text, size_t len, size_t *from, struct log_word *word)
{
	size_t at = *from;
	bool escaped = false;

	while (at < len && !log_words_fold[(uint8_t)text[at]])
		at += text[at] == '\\' ? skip_backslash(text, len, at, &escaped) : 1;
	if (at >= len)
		return false;
	word->at = text + at;
	word->escaped = escaped;
	while (at < len && log_words_fold[(uint8_t)text[at]])
		at++;
	word->len = (size_t)(text + at - word->at);
	*from = at;
	return true;
}

/* ---- a set of them ---- */

struct entry {
	uint32_t at; /* in words */
	uint32_t len;
	uint32_t hash;
	uint32_t round; /* of another round: empty */
};

struct log_wordset {
	struct entry *entries;
	uint32_t mask;
	uint32_t count;
	uint32_t round;
	struct text words;
};

struct log_wordset *log_wordset_new(void)
{
	struct log_wordset *set = mem_alloc(sizeof(*set));

	set->mask = (1u << TABLE_BITS) - 1;
	set->entries = mem_alloc(((size_t)set->mask + 1) * sizeof(*set->entries));
	set->round = 1;
	return set;
}

void log_wordset_free(struct log_wordset *set)
{
	if (!set)
		return;
	free(set->entries);
	text_free(&set->words);
	free(set);
}

void log_wordset_reset(struct log_wordset *set)
{
	set->words.len = 0;
	set->count = 0;
	if (++set->round)
		return;
	memset(set->entries, 0, ((size_t)set->mask + 1) * sizeof(*set->entries));
	set->round = 1;
}

static uint32_t slot_of(const struct log_wordset *set, uint32_t hash)
{
	return (hash ^ hash >> 15) & set->mask;
}

static void grow(struct log_wordset *set)
{
	struct entry *old = set->entries;
	uint32_t size = set->mask + 1;

	set->mask = size * 2 - 1;
	set->entries = mem_alloc(((size_t)set->mask + 1) * sizeof(*set->entries));
	for (uint32_t i = 0; i < size; i++) {
		uint32_t slot;

		if (old[i].round != set->round)
			continue;
		slot = slot_of(set, old[i].hash);
		while (set->entries[slot].round == set->round)
			slot = (slot + 1) & set->mask;
		set->entries[slot] = old[i];
	}
	free(old);
}

static void add_word(struct log_wordset *set, const char *at, size_t len)
{
	char folded[LOG_WORD_MAX + 1];
	uint32_t hash = 2166136261u;
	uint32_t slot;
	struct entry *entry;

	if (len > LOG_WORD_MAX)
		len = LOG_WORD_MAX;
	for (size_t i = 0; i < len; i++) {
		folded[i] = (char)log_words_fold[(uint8_t)at[i]];
		hash = (hash ^ (uint8_t)folded[i]) * 16777619u;
	}
	for (slot = slot_of(set, hash); (entry = &set->entries[slot])->round == set->round;
		slot = (slot + 1) & set->mask)
		if (entry->hash == hash && entry->len == len &&
			memcmp(set->words.data + entry->at, folded, len) == 0)
			return;
	*entry = (struct entry){ (uint32_t)set->words.len, (uint32_t)len, hash, set->round };
	folded[len] = ' ';
	text_add(&set->words, folded, len + 1);
	if (++set->count > set->mask / 2)
		grow(set);
}

void log_wordset_add(struct log_wordset *set, const char *text, size_t len)
{
	struct log_word word;
	size_t at = 0;

	while (log_words_next(text, len, &at, &word)) {
		add_word(set, word.at, word.len);
		if (word.escaped)
			add_word(set, word.at + 1, word.len - 1);
	}
}

const struct text *log_wordset_text(const struct log_wordset *set)
{
	return &set->words;
}
