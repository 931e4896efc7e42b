#include "error.h"

#include <stdio.h>
#include <string.h>

static void fill(struct ten_error *err, int code, const char *format, va_list args)
{
	if (!err)
		return;
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), format, args);
}

int ten_error_set(struct ten_error *err, int code, const char *format, ...)
{
	va_list args;
	size_t used;

	va_start(args, format);
	fill(err, code, format, args);
	va_end(args);
	if (!err || !code)
		return -1;
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
	return -1;
}

int ten_error_say(struct ten_error *err, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(err, code, format, args);
	va_end(args);
	return -1;
}

int ten_error_wrap(struct ten_error *err, const char *format, ...)
{
	char below[TEN_ERROR_TEXT_MAX];
	va_list args;
	size_t used;

	if (!err)
		return -1;
	memcpy(below, err->text, sizeof(below));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", below);
	return -1;
}
