#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "log_field.h"
#include "log_search_node.h"
#include "log_words.h"

#define PREFIX_MIN   2 /* bytes */
#define PREFIXES_MAX 4

/* ---- one line ---- */

static bool word_is(const struct log_search_word *wanted, const char *at, size_t len, bool prefix)
{
	if (prefix ? len < wanted->len : len != wanted->len)
		return false;
	for (size_t i = 0; i < wanted->len; i++)
		if (log_words_fold[(uint8_t)at[i]] != (uint8_t)wanted->at[i])
			return false;
	return true;
}

static bool word_matches(
	const struct log_search_word *wanted, const struct log_word *word, bool prefix)
{
	return word_is(wanted, word->at, word->len, prefix) ||
	       (word->escaped && word_is(wanted, word->at + 1, word->len - 1, prefix));
}

/* Whether WORDS are there, one after the other; the last may be the beginning of one. */
static bool phrase_matches(const struct log_search_word *words, unsigned count, bool prefix,
	const char *line, size_t len)
{
	struct log_word word;
	size_t at = 0;

	while (log_words_next(line, len, &at, &word)) {
		size_t next = at;
		unsigned n = 0;

		while (word_matches(&words[n], &word, prefix && n + 1 == count)) {
			if (++n == count)
				return true;
			if (!log_words_next(line, len, &next, &word))
				break;
		}
	}
	return false;
}

struct wanted {
	const struct log_search *search;
	const struct log_search_node *node;
};

static bool test_value(void *data, const char *value, size_t len)
{
	const struct wanted *wanted = data;
	const struct log_search_node *node = wanted->node;

	return !node->count || phrase_matches(wanted->search->words + node->first, node->count,
				       node->prefix, value, len);
}

static bool field_matches(const struct log_search *search, const struct log_search_node *node,
	const char *line, size_t len)
{
	struct wanted wanted = { search, node };

	switch (log_field_find(line, len, node->field, node->field_len, test_value, &wanted)) {
	case LOG_FIELD_YES:
		return true;
	case LOG_FIELD_NO:
		return false;
	default:
		return node->name_count + node->count > 0 &&
		       phrase_matches(search->words + node->name, node->name_count + node->count,
			       node->count && node->prefix, line, len);
	}
}

static bool node_matches(const struct log_search *search, int index, const char *line, size_t len)
{
	const struct log_search_node *node = &search->nodes[index];

	switch (node->kind) {
	case KIND_PHRASE:
		return phrase_matches(
			search->words + node->first, node->count, node->prefix, line, len);
	case KIND_FIELD:
		return field_matches(search, node, line, len);
	case KIND_NOT:
		return !node_matches(search, node->left, line, len);
	case KIND_AND:
		return node_matches(search, node->left, line, len) &&
		       node_matches(search, node->right, line, len);
	default:
		return node_matches(search, node->left, line, len) ||
		       node_matches(search, node->right, line, len);
	}
}

/* ---- quicker looks ---- */

static bool has_word_at(const struct log_search_word *word, const char *at)
{
	for (size_t i = 0; i < word->len; i++)
		if (log_words_fold[(uint8_t)at[i]] != (uint8_t)word->at[i])
			return false;
	return true;
}

/* Whether the bytes of WORD are anywhere, in either case. */
static bool has_bytes(const struct log_search_word *word, const char *lines, size_t len)
{
	char rare = word->at[word->rare];
	char cases[2] = { rare, (char)toupper((unsigned char)rare) };
	const char *end;

	if (len < word->len)
		return false;
	/* Where the rare byte of the last that fits would be. */
	end = lines + len - (word->len - word->rare - 1);
	for (int i = 0; i < (cases[0] == cases[1] ? 1 : 2); i++) {
		const char *at = lines + word->rare;

		while (at < end && (at = memchr(at, cases[i], (size_t)(end - at)))) {
			if (has_word_at(word, at - word->rare))
				return true;
			at++;
		}
	}
	return false;
}

static bool node_may_match(
	const struct log_search *search, int index, const char *lines, size_t len)
{
	const struct log_search_node *node = &search->nodes[index];

	switch (node->kind) {
	case KIND_PHRASE:
	case KIND_FIELD:
		for (unsigned i = node->name; i < node->first + node->count; i++)
			if (!has_bytes(&search->words[i], lines, len))
				return false;
		return true;
	case KIND_NOT:
		return true;
	case KIND_AND:
		return node_may_match(search, node->left, lines, len) &&
		       node_may_match(search, node->right, lines, len);
	default:
		return node_may_match(search, node->left, lines, len) ||
		       node_may_match(search, node->right, lines, len);
	}
}

bool log_search_matches(const struct log_search *search, const char *line, size_t len)
{
	return search->root == LOG_SEARCH_NOTHING ||
	       (node_may_match(search, search->root, line, len) &&
		       node_matches(search, search->root, line, len));
}

bool log_search_may_match(const struct log_search *search, const char *lines, size_t len)
{
	return search->root == LOG_SEARCH_NOTHING ||
	       node_may_match(search, search->root, lines, len);
}

/* ---- the index ---- */

static void add_indexed(struct text *out, const struct log_search_word *word, bool prefix)
{
	size_t len = word->len < LOG_WORD_MAX ? word->len : LOG_WORD_MAX;

	/* Letters, digits and bytes beyond ASCII alone: no quote can be among them. */
	text_puts(out, "\"");
	text_add(out, word->at, len);
	text_puts(out, prefix && len < LOG_WORD_MAX ? "\"*" : "\"");
}

/* For one that begins words FTS5 reads all of them, at once and without looking up, so that there
 * are few in a question: not in it means that any block may have it. */
static bool is_indexed(const struct log_search_word *word, bool prefix, unsigned *prefixes)
{
	if (!prefix)
		return true;
	if (word->len < PREFIX_MIN || *prefixes == PREFIXES_MAX)
		return false;
	++*prefixes;
	return true;
}

static bool index_words(const struct log_search *search, const struct log_search_node *node,
	unsigned *prefixes, struct text *out)
{
	unsigned end = node->first + node->count;
	bool any = false;

	for (unsigned i = node->name; i < end; i++) {
		bool prefix = node->prefix && node->count && i + 1 == end;

		if (!is_indexed(&search->words[i], prefix, prefixes))
			continue;
		if (any)
			text_puts(out, " AND ");
		add_indexed(out, &search->words[i], prefix);
		any = true;
	}
	return any;
}

/* Parentheses are only where they have to be: FTS5 takes but few that are nested. */
static bool index_node(const struct log_search *search, int index, enum log_search_kind parent,
	unsigned *prefixes, struct text *out)
{
	const struct log_search_node *node = &search->nodes[index];
	autotext struct text left = { 0 };
	autotext struct text right = { 0 };
	bool has_left, has_right, grouped;

	if (node->kind == KIND_NOT)
		return false;
	if (node->kind == KIND_PHRASE || node->kind == KIND_FIELD)
		return index_words(search, node, prefixes, out);
	has_left = index_node(search, node->left, node->kind, prefixes, &left);
	has_right = index_node(search, node->right, node->kind, prefixes, &right);
	if (has_left && has_right) {
		grouped = node->kind == KIND_OR && parent == KIND_AND;
		text_printf(out, "%s%s %s %s%s", grouped ? "(" : "", left.data,
			node->kind == KIND_AND ? "AND" : "OR", right.data, grouped ? ")" : "");
		return true;
	}
	if (node->kind == KIND_OR || (!has_left && !has_right))
		return false;
	text_puts(out, has_left ? left.data : right.data);
	return true;
}

bool log_search_index(const struct log_search *search, struct text *out)
{
	unsigned prefixes = 0;

	return search->root != LOG_SEARCH_NOTHING &&
	       index_node(search, search->root, KIND_AND, &prefixes, out);
}
