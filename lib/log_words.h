/*
 * The words of a line, as searches know them: runs of ASCII letters and digits and of all bytes
 * that are not ASCII; case matters in none but the latter. In "\n" and the like, as JSON has them,
 * the letter is not part of a word that follows, but may be (C:\new); nor is anything of "\xNN",
 * and of a terminal's colour.
 */
#ifndef TEN_LOG_WORDS_H
#define TEN_LOG_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* What the index knows of a longer word. */
#define LOG_WORD_MAX 64

struct log_word {
	const char *at;
	size_t len;
	bool escaped; /* it may be one without its first letter, too */
};

/* The first word at or after *FROM, and *FROM behind it. */
bool log_words_next(const char *text, size_t len, size_t *from, struct log_word *word);

/* C as it is compared; 0: part of no word. */
extern const uint8_t log_words_fold[256];

/* The different words of many lines. */
struct log_wordset;

struct log_wordset *log_wordset_new(void);
void log_wordset_free(struct log_wordset *set);
void log_wordset_reset(struct log_wordset *set);
void log_wordset_add(struct log_wordset *set, const char *text, size_t len);

/* All of them, each followed by a space, at most LOG_WORD_MAX bytes of each. */
const struct text *log_wordset_text(const struct log_wordset *set);

#endif
