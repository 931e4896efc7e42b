/*
 * The terminal, or what stands in for it: how wide it is, whether colours are welcome, and the line
 * of progress that is shown while something is waited for.
 */
#ifndef TEN_TERM_H
#define TEN_TERM_H

#include <stdbool.h>
#include <stdio.h>

enum term_style { TERM_PLAIN, TERM_BOLD, TERM_DIM, TERM_RED, TERM_GREEN, TERM_YELLOW };

#define TERM_WIDTH 80 /* where nothing says otherwise */

struct term {
	bool out_is_terminal;
	bool err_is_terminal;
	bool colours; /* on standard output */
	int width;
	bool progress_shown;
};

/* Colours only on a terminal that can show them, and not with --no-color or NO_COLOR. */
void term_init(struct term *term, bool no_colour);

/* The escape that begins STYLE on standard output, or "". term_end() is the one that ends it. */
const char *term_begin(const struct term *term, enum term_style style);
const char *term_end(const struct term *term, enum term_style style);

/* Print HEADING in bold. */
void term_heading(const struct term *term, enum term_style style, const char *heading);

/* Show "WHAT ... 3s" on standard error if that is a terminal; term_progress_clear() wipes it. */
void term_progress(struct term *term, const char *what, double elapsed_secs);
void term_progress_clear(struct term *term);

#endif
