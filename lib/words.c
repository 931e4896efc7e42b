#include "words.h"

#include <stdbool.h>
#include <string.h>

#include "mem.h"
#include "text.h"

struct splitter {
	const char *at;
	struct text word;
	bool in_word;
	char **words;
	size_t count, room;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void end_word(struct splitter *splitter)
{
	if (!splitter->in_word)
		return;
	if (splitter->count + 1 >= splitter->room) {
		splitter->room = splitter->room ? splitter->room * 2 : 8;
		splitter->words =
			mem_resize(splitter->words, splitter->room, sizeof(*splitter->words));
	}
	splitter->words[splitter->count++] = text_steal(&splitter->word);
	splitter->words[splitter->count] = NULL;
	splitter->in_word = false;
}

/* The inside of a quoted part; leaves .at on the closing quote, or on the end of the text. */
static void take_quoted(struct splitter *splitter, char quote)
{
	for (splitter->at++; *splitter->at && *splitter->at != quote; splitter->at++) {
		if (quote == '"' && *splitter->at == '\\' && splitter->at[1] &&
			strchr("\"\\$`\n", splitter->at[1])) {
			splitter->at++;
			if (*splitter->at == '\n')
				continue;
		}
		text_add(&splitter->word, splitter->at, 1);
	}
}

/* Where, in characters from 1, AT is in TEXT. */
static int column_of(const char *text, const char *at)
{
	int column = 1;

	for (; text < at; text++)
		if (((unsigned char)*text & 0xc0) != 0x80)
			column++;
	return column;
}

static const char *split(struct splitter *splitter)
{
	for (; *splitter->at; splitter->at++) {
		const char *start = splitter->at;
		char c = *start;

		if (is_blank(c)) {
			end_word(splitter);
			continue;
		}
		if (c == '\\' && start[1] == '\n') {
			splitter->at++;
			continue;
		}
		splitter->in_word = true;
		if (c == '\'' || c == '"') {
			take_quoted(splitter, c);
			if (!*splitter->at)
				return start;
		} else if (c == '\\') {
			if (!*++splitter->at)
				return start;
			text_add(&splitter->word, splitter->at, 1);
		} else {
			text_add(&splitter->word, start, 1);
		}
	}
	end_word(splitter);
	return NULL;
}

char **words_split(const char *text, int *column, struct ten_error *err)
{
	struct splitter splitter = { .at = text, .words = mem_alloc(sizeof(char *)) };
	const char *wrong = split(&splitter);
	int at;

	text_free(&splitter.word);
	if (!wrong)
		return splitter.words;
	mem_strv_free(splitter.words);
	at = column_of(text, wrong);
	if (column)
		*column = at;
	if (*wrong == '\\')
		ten_error_set(err, 0, "nothing follows the \\ at character %d", at);
	else
		ten_error_set(err, 0, "the %c at character %d is never closed", *wrong, at);
	return NULL;
}

static bool is_plain(const char *word)
{
	if (!*word)
		return false;
	for (; *word; word++)
		if (is_blank(*word) || strchr("'\"\\$`*?[]{}()<>|&;#~!", *word))
			return false;
	return true;
}

char *words_join(char *const *words)
{
	struct text out = { 0 };

	for (size_t i = 0; words && words[i]; i++) {
		text_puts(&out, i ? " " : "");
		if (is_plain(words[i])) {
			text_puts(&out, words[i]);
			continue;
		}
		text_puts(&out, "'");
		for (const char *at = words[i]; *at; at++) {
			if (*at == '\'')
				text_puts(&out, "'\\''");
			else
				text_add(&out, at, 1);
		}
		text_puts(&out, "'");
	}
	return text_steal(&out);
}
