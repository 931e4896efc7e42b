#include "config_problem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"
#include "utf8.h"

enum { EXCERPT_MAX = 4096, SHOWN_MAX = 100 };

/* Control characters (C1 ones too) and what is not UTF-8 become "?"; a tab stays one. */
static void make_printable(char *text)
{
	unsigned char *end = (unsigned char *)text + strlen(text);
	size_t len;

	for (unsigned char *at = (unsigned char *)text; at < end; at += len ? len : 1) {
		len = utf8_length(at, (size_t)(end - at));
		if (!len)
			*at = '?';
		if ((*at < ' ' && *at != '\t') || *at == 0x7f)
			*at = '?';
		else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
			at[0] = at[1] = '?';
	}
}

/* Whether the words [BEGIN, END) of a table's name or a key say that values are nobody's business.
 */
static bool names_secrets(const char *begin, const char *end)
{
	static const char *const words[] = { "env", "credentials" };

	for (const char *at = begin; at < end;) {
		size_t len = 0;

		while (at + len < end && (isalnum((unsigned char)at[len]) || at[len] == '_'))
			len++;
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (len == strlen(words[i]) && strncmp(at, words[i], len) == 0)
				return true;
		at += len ? len : 1;
	}
	return false;
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

/* The same of a key anywhere in the line: env = , "env" = , env.NAME = */
static bool has_secret_key(const char *begin, const char *end)
{
	for (const char *at = begin; at < end; at++) {
		size_t len = 0;
		const char *after;

		while (at + len < end && (isalnum((unsigned char)at[len]) || at[len] == '_'))
			len++;
		if (!len)
			continue;
		after = at + len;
		if (after < end && (*after == '"' || *after == '\''))
			after++;
		after = skip_space(after, end);
		if (after < end && (*after == '=' || *after == '.') && names_secrets(at, at + len))
			return true;
		at += len - 1;
	}
	return false;
}

/* Whether a string of several lines begins or ends between BEGIN and END, and not both. */
static bool turns_string(const char *begin, const char *end)
{
	bool turns = false;

	for (const char *at = begin; end - at >= 3; at++) {
		if (memcmp(at, "\"\"\"", 3) != 0 && memcmp(at, "'''", 3) != 0)
			continue;
		turns = !turns;
		at += 2;
	}
	return turns;
}

/* Whether the line at LINE is of a value of the environment or of credentials: by its table, by its
 * own keys, or as part (*INNER) of a string that began above. TEXT may be no TOML at all. */
static bool holds_secret(const char *text, const char *line, const char *end, bool *inner)
{
	bool of_table = false, in_string = false, of_string = false;

	for (;;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;
		const char *begin = skip_space(text, line_end);
		bool is_header = begin < line_end && *begin == '[' && !(in_string && of_string);
		bool secret;

		if (is_header)
			of_table = names_secrets(begin, line_end);
		secret = !is_header &&
			 (of_table || (in_string && of_string) || has_secret_key(begin, line_end));
		*inner = in_string && of_string;
		if (text == line || !newline)
			return secret;
		if (begin < line_end && (in_string || *begin != '#') &&
			turns_string(begin, line_end)) {
			in_string = !in_string;
			of_string = secret;
		}
		text = newline + 1;
	}
}

/* Keep the key of EXCERPT and what holds its value together, so that the caret still points at
 * something, and not the value. */
static void mask(char *excerpt, bool inner)
{
	char *equals = inner ? NULL : strchr(excerpt, '=');

	for (char *at = equals ? equals + 1 : excerpt; *at; at++) {
		if (!strchr(" \t\"'{}[],", *at))
			*at = '*';
	}
}

/* The line number LINE of TEXT, or NULL. */
static char *line_of(const char *text, size_t len, int line)
{
	const char *begin = text, *end = text + len, *newline;
	size_t line_len;
	bool inner;
	char *excerpt;

	for (; line > 1; line--) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (!newline)
			return NULL;
		text = newline + 1;
	}
	newline = memchr(text, '\n', (size_t)(end - text));
	line_len = (size_t)((newline ? newline : end) - text);
	if (line_len && text[line_len - 1] == '\r')
		line_len--;
	excerpt = mem_strndup(text, line_len < EXCERPT_MAX ? line_len : EXCERPT_MAX);
	make_printable(excerpt);
	if (holds_secret(begin, text, end, &inner))
		mask(excerpt, inner);
	return excerpt;
}

static bool is_known(
	const struct config_problems *problems, struct config_at at, const char *message)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct config_problem *known = &problems->items[i];
		if (known->line == at.line && known->column == at.column &&
			strcmp(known->message, message) == 0)
			return true;
	}
	return false;
}

static struct config_problem *add_item(struct config_problems *problems)
{
	struct config_problem *problem;

	problems->items =
		mem_resize(problems->items, problems->count + 1, sizeof(*problems->items));
	problem = &problems->items[problems->count++];
	*problem = (struct config_problem){ .file = problems->file };
	return problem;
}

/* The last of the list says how many it does not have. */
static void leave_out(struct config_problems *problems)
{
	struct config_problem *last =
		problems->left_out++ ? &problems->items[CONFIG_PROBLEMS_MAX] : add_item(problems);

	free(last->message);
	last->message = mem_printf("and %zu more", problems->left_out);
}

void config_problems_add(
	struct config_problems *problems, struct config_at at, const char *format, ...)
{
	struct config_problem *problem;
	autofree char *message = NULL;
	va_list args;

	va_start(args, format);
	message = mem_vprintf(format, args);
	va_end(args);
	make_printable(message);
	if (is_known(problems, at, message))
		return;
	if (problems->count >= CONFIG_PROBLEMS_MAX) {
		leave_out(problems);
		return;
	}
	problem = add_item(problems);
	problem->line = at.line;
	problem->column = at.column;
	problem->message = mem_steal(&message);
	if (at.line > 0 && problems->text)
		problem->excerpt = line_of(problems->text, problems->len, at.line);
}

void config_problems_clear(struct config_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->items[i].message);
		free(problems->items[i].excerpt);
	}
	free(problems->items);
	problems->items = NULL;
	problems->count = problems->left_out = 0;
}

int config_problem_compare(const void *a, const void *b)
{
	const struct config_problem *one = a, *other = b;
	int order = strcmp(one->file, other->file);

	if (order)
		return order;
	if (one->line != other->line)
		return one->line < other->line ? -1 : 1;
	if (one->column != other->column)
		return one->column < other->column ? -1 : 1;
	return strcmp(one->message, other->message);
}

static const char *next_character(const char *at)
{
	at++;
	while (((unsigned char)*at & 0xc0) == 0x80)
		at++;
	return at;
}

/* The part of the line around the column, and the caret below it. */
static void add_excerpt(struct text *out, const struct config_problem *problem)
{
	const char *from = problem->excerpt, *to = from;
	char number[16];
	int skipped = problem->column > SHOWN_MAX - 20 ? problem->column - SHOWN_MAX / 2 : 0;

	for (int i = 0; i < skipped && *from; i++)
		from = next_character(from);
	to = from;
	for (int i = 0; i < SHOWN_MAX && *to; i++)
		to = next_character(to);
	snprintf(number, sizeof(number), "%d", problem->line);
	text_printf(out, "  %s | %s%.*s%s\n", number, skipped ? "..." : "", (int)(to - from), from,
		*to ? "..." : "");
	if (problem->column < 1)
		return;
	text_printf(out, "  %*s | %s", (int)strlen(number), "", skipped ? "   " : "");
	/* A tab above is a tab below, so that the caret stands where it should. */
	for (int i = skipped + 1; i < problem->column; i++) {
		text_puts(out, *from == '\t' ? "\t" : " ");
		if (*from)
			from = next_character(from);
	}
	text_puts(out, "^\n");
}

char *config_problem_text(const struct config_problem *problem)
{
	struct text out = { 0 };

	text_puts(&out, problem->file);
	if (problem->line > 0)
		text_printf(&out, ":%d", problem->line);
	if (problem->line > 0 && problem->column > 0)
		text_printf(&out, ":%d", problem->column);
	text_printf(&out, ": %s\n", problem->message);
	if (problem->line > 0 && problem->excerpt)
		add_excerpt(&out, problem);
	return text_steal(&out);
}
