/*
 * Text that others wrote (log lines, reasons, names of files) as it may be shown on a terminal:
 * control characters, what would turn the direction of the text, and bytes that are not UTF-8 are
 * spelled out (\x1b, \u202e), so that nobody's log can move the cursor, retitle the window or fake
 * a line.
 */
#ifndef TEN_VISIBLE_H
#define TEN_VISIBLE_H

#include <stddef.h>

#include "text.h"

/* Add TEXT as one line: newlines and tabs become spaces. */
void visible_add(struct text *out, const char *text, size_t len);

/* A harmless copy; the caller frees. visible_lines() keeps newlines. */
char *visible_line(const char *text);
char *visible_lines(const char *text);

/* Columns that harmless UTF-8 TEXT takes on a terminal. */
size_t visible_width(const char *text);

/* Copy TEXT to OUT, cut to WIDTH columns; what was cut ends in an ellipsis. */
void visible_cut(struct text *out, const char *text, size_t width);

/* To be called once: wide characters are measured in UTF-8 whatever the locale is. */
void visible_init(void);

#endif
