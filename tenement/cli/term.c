#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_MIN 40
#define WIDTH_MAX 1000

static int width_of(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long asked = columns ? strtol(columns, NULL, 10) : 0;

	if (asked >= WIDTH_MIN && asked <= WIDTH_MAX)
		return (int)asked;
	if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= WIDTH_MIN)
		return size.ws_col;
	return TERM_WIDTH;
}

void term_init(struct term *term, bool no_colour)
{
	const char *kind = getenv("TERM");
	const char *refused = getenv("NO_COLOR");

	term->out_is_terminal = isatty(STDOUT_FILENO);
	term->err_is_terminal = isatty(STDERR_FILENO);
	term->colours = term->out_is_terminal && !no_colour && !(refused && *refused) && kind &&
			strcmp(kind, "dumb") != 0;
	term->width = width_of(STDOUT_FILENO);
	term->progress_shown = false;
}

const char *term_begin(const struct term *term, enum term_style style)
{
	static const char *const escapes[] = {
		[TERM_PLAIN] = "",
		[TERM_BOLD] = "\033[1m",
		[TERM_DIM] = "\033[2m",
		[TERM_RED] = "\033[31m",
		[TERM_GREEN] = "\033[32m",
		[TERM_YELLOW] = "\033[33m",
	};

	return term->colours ? escapes[style] : "";
}

const char *term_end(const struct term *term, enum term_style style)
{
	return term->colours && style != TERM_PLAIN ? "\033[0m" : "";
}

void term_heading(const struct term *term, enum term_style style, const char *heading)
{
	printf("\n%s%s%s%s\n", term_begin(term, TERM_BOLD), term_begin(term, style), heading,
		term_end(term, TERM_BOLD));
}

void term_progress(struct term *term, const char *what, double elapsed_secs)
{
	if (!term->err_is_terminal || !what)
		return;
	fprintf(stderr, "\r\033[K%s … %.0fs", what, elapsed_secs);
	fflush(stderr);
	term->progress_shown = true;
}

void term_progress_clear(struct term *term)
{
	if (!term->progress_shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	term->progress_shown = false;
}
