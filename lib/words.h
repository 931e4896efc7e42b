/*
 * A command line split into words the way a shell splits it, without anything that a shell expands:
 * blanks separate, '...' keeps everything, "..." keeps all but \" \\ \$ \`, and \ keeps the next
 * character. "$", "*", "|" and ";" mean nothing here.
 */
#ifndef TEN_WORDS_H
#define TEN_WORDS_H

#include "error.h"

/* An owned strv (mem.h) of the words of TEXT, maybe of none. NULL: *err says what is unbalanced and
 * at which character, and *column, from 1, too (COLUMN may be NULL). */
char **words_split(const char *text, int *column, struct ten_error *err);

/* WORDS as one line that words_split() takes apart again. The caller frees. */
char *words_join(char *const *words);

#endif
