#include "log_search.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log_field.h"
#include "log_words.h"
#include "mem.h"

#define NOTHING (-1) /* a part of the expression that asks for nothing */

enum kind { KIND_PHRASE, KIND_FIELD, KIND_NOT, KIND_AND, KIND_OR };

struct node {
	enum kind kind;
	int left, right;   /* of operators; of NOT the left */
	const char *field; /* its name, in the text */
	size_t field_len;
	unsigned name, name_count; /* words of the name, among words; they come before the others */
	unsigned first, count;     /* words of the phrase */
	bool prefix;               /* the last word begins so */
};

struct word {
	const char *at; /* folded, in the text */
	size_t len;
};

struct log_search {
	char *text; /* owned */
	char *folded;
	struct node nodes[LOG_SEARCH_WORDS * 2];
	struct word words[LOG_SEARCH_WORDS];
	unsigned node_count, word_count;
	int root;
};

/* ---- parsing ---- */

struct parser {
	struct log_search *search;
	const char *at;
	const char *end;
	bool too_large;
};

static int add_node(struct parser *parser, struct node node)
{
	struct log_search *search = parser->search;

	if (search->node_count == LOG_SEARCH_WORDS * 2) {
		parser->too_large = true;
		return NOTHING;
	}
	search->nodes[search->node_count] = node;
	return (int)search->node_count++;
}

static int join(struct parser *parser, enum kind kind, int left, int right)
{
	if (left == NOTHING || right == NOTHING)
		return left == NOTHING ? right : left;
	return add_node(parser, (struct node){ .kind = kind, .left = left, .right = right });
}

/* Add the words of TEXT; returns how many there are. */
static unsigned add_words(struct parser *parser, const char *text, size_t len)
{
	struct log_search *search = parser->search;
	unsigned before = search->word_count;
	struct log_word word;
	size_t at = 0;

	while (log_words_next(text, len, &at, &word)) {
		if (search->word_count == LOG_SEARCH_WORDS) {
			parser->too_large = true;
			break;
		}
		search->words[search->word_count++] =
			(struct word){ search->folded + (word.at - search->text), word.len };
	}
	return search->word_count - before;
}

/* TEXT is `words`, and as the field NAME if it has a length. */
static int add_phrase(struct parser *parser, const char *name, size_t name_len, const char *text,
	size_t len, bool prefix)
{
	struct node node = { .kind = name_len ? KIND_FIELD : KIND_PHRASE,
		.field = name,
		.field_len = name_len,
		.prefix = prefix };

	node.name = parser->search->word_count;
	if (name_len)
		node.name_count = add_words(parser, name, name_len);
	node.first = parser->search->word_count;
	node.count = add_words(parser, text, len);
	if (!node.count && !(name_len && prefix)) {
		/* `name:` with nothing behind it is the word. */
		if (!name_len || !node.name_count)
			return NOTHING;
		node.kind = KIND_PHRASE;
		node.first = node.name;
		node.count = node.name_count;
		node.prefix = false;
	}
	return add_node(parser, node);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end && is_space(*parser->at))
		parser->at++;
}

static bool ends_bare(char c)
{
	return is_space(c) || c == '"' || c == '(' || c == ')';
}

static size_t bare_length(const struct parser *parser)
{
	const char *at = parser->at;

	while (at < parser->end && !ends_bare(*at))
		at++;
	return (size_t)(at - parser->at);
}

static bool take_star(struct parser *parser)
{
	if (parser->at >= parser->end || *parser->at != '*')
		return false;
	parser->at++;
	return true;
}

/* "..." at a quote. */
static int parse_quoted(struct parser *parser, const char *name, size_t name_len)
{
	const char *text = ++parser->at;
	const char *close = memchr(text, '"', (size_t)(parser->end - text));
	size_t len = (size_t)((close ? close : parser->end) - text);

	parser->at = close ? close + 1 : parser->end;
	return add_phrase(parser, name, name_len, text, len, take_star(parser));
}

/* How long the name before the colon in TEXT is; 0: it is no field. */
static size_t name_length(const char *text, size_t len)
{
	size_t at = 0;

	if (!len || isdigit((unsigned char)*text))
		return 0;
	while (at < len && (log_words_fold[(uint8_t)text[at]] || memchr("_.-@", text[at], 4)))
		at++;
	if (at == len || text[at] != ':' || (len - at > 2 && memcmp(text + at, "://", 3) == 0))
		return 0;
	return at;
}

static int parse_bare(struct parser *parser)
{
	const char *text = parser->at;
	size_t len = bare_length(parser);
	size_t name = name_length(text, len);
	bool prefix;

	parser->at += len;
	if (name && name + 1 == len && parser->at < parser->end && *parser->at == '"')
		return parse_quoted(parser, text, name);
	prefix = text[len - 1] == '*';
	if (name)
		return add_phrase(parser, text, name, text + name + 1, len - name - 1, prefix);
	return add_phrase(parser, text, 0, text, len, prefix && len > 1);
}

static bool at_operator(struct parser *parser, const char *name)
{
	skip_space(parser);
	return bare_length(parser) == strlen(name) && memcmp(parser->at, name, strlen(name)) == 0;
}

/* Whether something follows that an operator could work on. */
static bool has_operand(const struct parser *parser, size_t behind)
{
	const char *at = parser->at + behind;

	while (at < parser->end && is_space(*at))
		at++;
	return at < parser->end && *at != ')';
}

static bool take_operator(struct parser *parser, const char *name)
{
	if (!at_operator(parser, name) || !has_operand(parser, strlen(name)))
		return false;
	parser->at += strlen(name);
	return true;
}

static int parse_or(struct parser *parser, int depth);

static int parse_one(struct parser *parser, int depth)
{
	int node;

	skip_space(parser);
	if (parser->at >= parser->end || *parser->at == ')')
		return NOTHING;
	if (depth > LOG_SEARCH_DEPTH) {
		parser->too_large = true;
		return NOTHING;
	}
	if (take_operator(parser, "NOT")) {
		node = parse_one(parser, depth + 1);
		return node == NOTHING
			       ? NOTHING
			       : add_node(parser, (struct node){ .kind = KIND_NOT, .left = node });
	}
	if (*parser->at == '"')
		return parse_quoted(parser, NULL, 0);
	if (*parser->at != '(')
		return parse_bare(parser);
	parser->at++;
	node = parse_or(parser, depth + 1);
	skip_space(parser);
	if (parser->at < parser->end && *parser->at == ')')
		parser->at++;
	return node;
}

static int parse_and(struct parser *parser, int depth)
{
	int node = parse_one(parser, depth);

	for (;;) {
		take_operator(parser, "AND");
		skip_space(parser);
		if (parser->too_large || parser->at >= parser->end || *parser->at == ')' ||
			(at_operator(parser, "OR") && has_operand(parser, 2)))
			return node;
		node = join(parser, KIND_AND, node, parse_one(parser, depth));
	}
}

static int parse_or(struct parser *parser, int depth)
{
	int node = parse_and(parser, depth);

	while (!parser->too_large && take_operator(parser, "OR"))
		node = join(parser, KIND_OR, node, parse_and(parser, depth));
	return node;
}

struct log_search *log_search_parse(const char *text, size_t len, struct ten_error *err)
{
	struct log_search *search;
	struct parser parser = { 0 };

	if (len > LOG_SEARCH_BYTES) {
		ten_error_say(err, E2BIG, "a search has at most %d bytes", LOG_SEARCH_BYTES);
		return NULL;
	}
	search = mem_alloc(sizeof(*search));
	search->text = mem_alloc(len + 1);
	search->folded = mem_alloc(len + 1);
	memcpy(search->text, text, len);
	for (size_t i = 0; i < len; i++)
		search->folded[i] = (char)log_words_fold[(uint8_t)text[i]];
	parser = (struct parser){ search, search->text, search->text + len, false };
	search->root = NOTHING;
	while (!parser.too_large && parser.at < parser.end) {
		search->root = join(&parser, KIND_AND, search->root, parse_or(&parser, 0));
		/* A parenthesis that closes none. */
		if (parser.at < parser.end && *parser.at == ')')
			parser.at++;
	}
	if (!parser.too_large)
		return search;
	log_search_free(search);
	ten_error_say(err, E2BIG, "a search has at most %d words, nested %d deep", LOG_SEARCH_WORDS,
		LOG_SEARCH_DEPTH);
	return NULL;
}

void log_search_free(struct log_search *search)
{
	if (!search)
		return;
	free(search->text);
	free(search->folded);
	free(search);
}

bool log_search_is_empty(const struct log_search *search)
{
	return search->root == NOTHING;
}

/* ---- one line ---- */

static bool word_is(const struct word *wanted, const char *at, size_t len, bool prefix)
{
	if (prefix ? len < wanted->len : len != wanted->len)
		return false;
	for (size_t i = 0; i < wanted->len; i++)
		if (log_words_fold[(uint8_t)at[i]] != (uint8_t)wanted->at[i])
			return false;
	return true;
}

static bool word_matches(const struct word *wanted, const struct log_word *word, bool prefix)
{
	return word_is(wanted, word->at, word->len, prefix) ||
	       (word->escaped && word_is(wanted, word->at + 1, word->len - 1, prefix));
}

/* Whether WORDS are there, one after the other; the last may be the beginning of one. */
static bool phrase_matches(
	const struct word *words, unsigned count, bool prefix, const char *line, size_t len)
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
	const struct node *node;
};

static bool test_value(void *data, const char *value, size_t len)
{
	const struct wanted *wanted = data;
	const struct node *node = wanted->node;

	return !node->count || phrase_matches(wanted->search->words + node->first, node->count,
				       node->prefix, value, len);
}

static bool field_matches(
	const struct log_search *search, const struct node *node, const char *line, size_t len)
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
	const struct node *node = &search->nodes[index];

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

bool log_search_matches(const struct log_search *search, const char *line, size_t len)
{
	return search->root == NOTHING || node_matches(search, search->root, line, len);
}

/* ---- many lines ---- */

/* Whether the bytes of WORD are anywhere, in either case. */
static bool has_bytes(const struct word *word, const char *lines, size_t len)
{
	const char *end = lines + len;
	uint8_t first = (uint8_t)*word->at;
	char cases[2] = { (char)first, (char)toupper(first) };

	for (int i = 0; i < (first < 0x80 && isalpha(first) ? 2 : 1); i++) {
		const char *at = lines;

		while (at + word->len <= end &&
			(at = memchr(at, cases[i], (size_t)(end - at) - word->len + 1))) {
			size_t n = 1;

			while (n < word->len &&
				log_words_fold[(uint8_t)at[n]] == (uint8_t)word->at[n])
				n++;
			if (n == word->len)
				return true;
			at++;
		}
	}
	return false;
}

static bool node_may_match(
	const struct log_search *search, int index, const char *lines, size_t len)
{
	const struct node *node = &search->nodes[index];

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

bool log_search_may_match(const struct log_search *search, const char *lines, size_t len)
{
	return search->root == NOTHING || node_may_match(search, search->root, lines, len);
}

/* ---- the index ---- */

static void add_indexed(struct text *out, const struct word *word, bool prefix)
{
	size_t len = word->len < LOG_WORD_MAX ? word->len : LOG_WORD_MAX;

	/* Letters, digits and bytes beyond ASCII alone: no quote can be among them. */
	text_puts(out, "\"");
	text_add(out, word->at, len);
	text_puts(out, prefix && len < LOG_WORD_MAX ? "\"*" : "\"");
}

static bool index_words(const struct log_search *search, const struct node *node, struct text *out)
{
	unsigned end = node->first + node->count;

	for (unsigned i = node->name; i < end; i++) {
		if (i > node->name)
			text_puts(out, " AND ");
		add_indexed(out, &search->words[i], node->prefix && node->count && i + 1 == end);
	}
	return node->name < end;
}

/* Parentheses are only where they have to be: FTS5 takes but few that are nested. */
static bool index_node(
	const struct log_search *search, int index, enum kind parent, struct text *out)
{
	const struct node *node = &search->nodes[index];
	autotext struct text left = { 0 };
	autotext struct text right = { 0 };
	bool has_left, has_right, grouped;

	if (node->kind == KIND_NOT)
		return false;
	if (node->kind == KIND_PHRASE || node->kind == KIND_FIELD)
		return index_words(search, node, out);
	has_left = index_node(search, node->left, node->kind, &left);
	has_right = index_node(search, node->right, node->kind, &right);
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
	return search->root != NOTHING && index_node(search, search->root, KIND_AND, out);
}
