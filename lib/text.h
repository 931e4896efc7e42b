/*
 * A growing string. `struct text t = { 0 };` is empty and owns nothing; text_free() releases it.
 */
#ifndef TEN_TEXT_H
#define TEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data; /* NUL-terminated once anything was added; owned */
	size_t len;
	size_t room;
};

#define autotext __attribute__((cleanup(text_free)))

void text_add(struct text *text, const char *data, size_t len);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *text); /* and leave it empty */

/* Hand the string to the caller, who frees it ("" when nothing was added); leaves TEXT empty. */
char *text_steal(struct text *text);

/* Each byte of STRING that is no printable ASCII becomes a '?'. */
void text_make_plain(char *string);

/* Whether LIST, "a,b,c" up to its end or that of its first line, has WORD between its commas, or
 * whatever BETWEEN is. NULL has none. */
bool text_lists(const char *list, char between, const char *word);

#endif
