#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "tenement";
static bool under_journal;

void log_init(const char *program)
{
	program_name = program;
	under_journal = getenv("JOURNAL_STREAM") != NULL;
}

/* One write per line, so that the lines of several programs never mix. A control byte from the
 * outside must not reach the operator's terminal. */
static void log_line(int priority, const char *kind, const char *format, va_list args)
{
	char line[2048];
	int used = 0;
	ssize_t ignored;

	if (under_journal)
		used = snprintf(line, sizeof(line), "<%d>", priority);
	used += snprintf(line + used, sizeof(line) - (size_t)used, "%s: %s", program_name, kind);
	vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);
	used = (int)strlen(line);
	for (int i = 0; i < used; i++) {
		unsigned char byte = (unsigned char)line[i];

		if (byte < 0x20 || byte == 0x7f)
			line[i] = byte == '\n' ? ' ' : '?';
	}
	line[used++] = '\n';
	ignored = write(STDERR_FILENO, line, (size_t)used);
	(void)ignored;
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(6, "", format, args);
	va_end(args);
}

void log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(4, "warning: ", format, args);
	va_end(args);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(3, "error: ", format, args);
	va_end(args);
}
