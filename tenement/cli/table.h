/*
 * Tables for people: aligned, harmless, and as wide as the terminal at the most.
 *
 * Where there is too little room, columns go by their DROP, the highest first; then columns that
 * may shrink are cut, the last one first. The first column is cut only on a terminal, since what is
 * piped elsewhere is meant to be found there.
 */
#ifndef TEN_TABLE_H
#define TEN_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/term.h"

struct table_column {
	const char *title;
	bool right;       /* numbers */
	size_t shrink_to; /* may be cut to so many characters; 0: never */
	int drop;         /* 0: never left out */
};

struct table;

/* COLUMNS is kept, not copied. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);

/* Begin a row, then give one cell after the other; those not given are empty. */
void table_row(struct table *table);
void table_cell(struct table *table, const char *text);
void table_cell_styled(struct table *table, enum term_style style, const char *text);
void table_cellf(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

size_t table_rows(const struct table *table);

/* Print it. A column that is empty in all rows is left out. */
void table_print(const struct table *table, const struct term *term);

#endif
