#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/visible.h"
#include "mem.h"
#include "text.h"

#define GAP       2
#define FIRST_MIN 8 /* the first column on a terminal that is too narrow for it */

struct cell {
	char *text; /* owned, harmless */
	size_t width;
	enum term_style style;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct cell *cells; /* row by row */
	size_t rows, rows_room;
	size_t next; /* the column that the next cell goes to */
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *table = mem_alloc(sizeof(*table));

	table->columns = columns;
	table->column_count = count;
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->rows * table->column_count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

void table_row(struct table *table)
{
	size_t cells = table->column_count;

	if (table->rows == table->rows_room) {
		table->rows_room = table->rows_room ? 2 * table->rows_room : 32;
		table->cells =
			mem_resize(table->cells, table->rows_room * cells, sizeof(*table->cells));
	}
	memset(table->cells + table->rows * cells, 0, cells * sizeof(*table->cells));
	table->rows++;
	table->next = 0;
}

void table_cell_styled(struct table *table, enum term_style style, const char *text)
{
	struct cell *cell;

	assert(table->rows > 0 && table->next < table->column_count);
	cell = &table->cells[(table->rows - 1) * table->column_count + table->next++];
	cell->text = visible_line(text);
	cell->width = visible_width(cell->text);
	cell->style = style;
}

void table_cell(struct table *table, const char *text)
{
	table_cell_styled(table, TERM_PLAIN, text);
}

void table_cellf(struct table *table, const char *format, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = mem_vprintf(format, args);
	va_end(args);
	table_cell(table, text);
}

size_t table_rows(const struct table *table)
{
	return table->rows;
}

static const struct cell *cell_at(const struct table *table, size_t row, size_t column)
{
	return &table->cells[row * table->column_count + column];
}

/* What each column wants; 0 for one that has nothing to say. */
static void measure(const struct table *table, size_t *widths)
{
	for (size_t column = 0; column < table->column_count; column++) {
		widths[column] = 0;
		for (size_t row = 0; row < table->rows; row++) {
			size_t width = cell_at(table, row, column)->width;

			if (width > widths[column])
				widths[column] = width;
		}
		if (widths[column] && widths[column] < visible_width(table->columns[column].title))
			widths[column] = visible_width(table->columns[column].title);
	}
}

static size_t total_width(const size_t *widths, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += widths[i] ? widths[i] + GAP : 0;
	return total ? total - GAP : 0;
}

/* The column to leave out next, or -1. */
static int to_drop(const struct table *table, const size_t *widths)
{
	int found = -1;

	for (size_t i = 0; i < table->column_count; i++) {
		if (widths[i] && table->columns[i].drop &&
			(found < 0 || table->columns[i].drop > table->columns[found].drop))
			found = (int)i;
	}
	return found;
}

/* How narrow column INDEX, which is WIDTH wide now, may become. */
static size_t least_width(
	const struct table *table, const struct term *term, size_t index, size_t width)
{
	size_t least = table->columns[index].shrink_to;

	if (index == 0)
		least = term->out_is_terminal ? FIRST_MIN : width;
	return least && least < width ? least : width;
}

static void fit(const struct table *table, const struct term *term, size_t *widths)
{
	size_t room = (size_t)term->width, count = table->column_count;

	while (total_width(widths, count) > room) {
		size_t narrowest = 0;
		int drop;

		for (size_t i = 0; i < count; i++)
			narrowest += widths[i] ? least_width(table, term, i, widths[i]) + GAP : 0;
		if (narrowest <= room + GAP)
			break;
		drop = to_drop(table, widths);
		if (drop < 0)
			break;
		widths[drop] = 0;
	}
	for (size_t i = count; i-- > 0;) {
		size_t total = total_width(widths, count);
		size_t least = least_width(table, term, i, widths[i]);

		if (total <= room)
			break;
		if (widths[i])
			widths[i] = total - room < widths[i] - least ? widths[i] - (total - room)
								     : least;
	}
}

static void add_cell(struct text *line, const struct term *term, const struct cell *cell,
	size_t width, bool right, bool last)
{
	size_t shown = cell->width < width ? cell->width : width;

	if (right)
		text_printf(line, "%*s", (int)(width - shown), "");
	text_puts(line, term_begin(term, cell->style));
	visible_cut(line, cell->text ? cell->text : "", width);
	text_puts(line, term_end(term, cell->style));
	if (!right && !last)
		text_printf(line, "%*s", (int)(width - shown), "");
}

static void print_row(const struct table *table, const struct term *term, const size_t *widths,
	const struct cell *cells)
{
	autotext struct text line = { 0 };
	size_t last = 0;

	for (size_t i = 0; i < table->column_count; i++) {
		if (widths[i])
			last = i;
	}
	for (size_t i = 0; i <= last && table->column_count; i++) {
		if (!widths[i])
			continue;
		add_cell(&line, term, &cells[i], widths[i], table->columns[i].right, i == last);
		if (i != last)
			text_puts(&line, "  ");
	}
	while (line.len && line.data[line.len - 1] == ' ')
		line.data[--line.len] = '\0';
	puts(line.len ? line.data : "");
}

void table_print(const struct table *table, const struct term *term)
{
	autofree size_t *widths = mem_alloc(table->column_count * sizeof(*widths));
	autofree struct cell *titles = mem_alloc(table->column_count * sizeof(*titles));

	measure(table, widths);
	fit(table, term, widths);
	for (size_t i = 0; i < table->column_count; i++) {
		titles[i].text = mem_strdup(table->columns[i].title);
		titles[i].width = visible_width(titles[i].text);
		titles[i].style = TERM_DIM;
	}
	print_row(table, term, widths, titles);
	for (size_t row = 0; row < table->rows; row++)
		print_row(table, term, widths, cell_at(table, row, 0));
	for (size_t i = 0; i < table->column_count; i++)
		free(titles[i].text);
}
