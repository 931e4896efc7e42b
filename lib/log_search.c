#include "log_search.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log_search_node.h"
#include "log_words.h"
#include "mem.h"

/* ---- parsing ---- */

struct parser {
	struct log_search *search;
	const char *at;
	const char *end;
	bool too_large;
};

static int add_node(struct parser *parser, struct log_search_node node)
{
	struct log_search *search = parser->search;

	if (search->node_count == LOG_SEARCH_WORDS * 2) {
		parser->too_large = true;
		return LOG_SEARCH_NOTHING;
	}
	search->nodes[search->node_count] = node;
	return (int)search->node_count++;
}

static int join(struct parser *parser, enum log_search_kind kind, int left, int right)
{
	if (left == LOG_SEARCH_NOTHING || right == LOG_SEARCH_NOTHING)
		return left == LOG_SEARCH_NOTHING ? right : left;
	return add_node(
		parser, (struct log_search_node){ .kind = kind, .left = left, .right = right });
}

/* By the letters that texts have most of, in English and in numbers. */
static size_t rarest(const char *word, size_t len)
{
	static const char common[] = "etaoinsrhldcum0fp1g2w3y4b5v6k7x8j9qz";
	size_t best = 0, found = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = memchr(common, word[i], sizeof(common) - 1);
		size_t rank = at ? (size_t)(at - common) + 1 : sizeof(common);

		if (rank <= best)
			continue;
		best = rank;
		found = i;
	}
	return found;
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
		search->words[search->word_count++] = (struct log_search_word){
			.at = search->folded + (word.at - search->text),
			.len = word.len,
			.rare = rarest(search->folded + (word.at - search->text), word.len),
		};
	}
	return search->word_count - before;
}

/* TEXT is `words`, and as the field NAME if it has a length. */
static int add_phrase(struct parser *parser, const char *name, size_t name_len, const char *text,
	size_t len, bool prefix)
{
	struct log_search_node node = { .kind = name_len ? KIND_FIELD : KIND_PHRASE,
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
			return LOG_SEARCH_NOTHING;
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
		return LOG_SEARCH_NOTHING;
	if (depth > LOG_SEARCH_DEPTH) {
		parser->too_large = true;
		return LOG_SEARCH_NOTHING;
	}
	if (take_operator(parser, "NOT")) {
		node = parse_one(parser, depth + 1);
		return node == LOG_SEARCH_NOTHING
			       ? LOG_SEARCH_NOTHING
			       : add_node(parser, (struct log_search_node){
							  .kind = KIND_NOT, .left = node });
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
	search->root = LOG_SEARCH_NOTHING;
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
	return search->root == LOG_SEARCH_NOTHING;
}
