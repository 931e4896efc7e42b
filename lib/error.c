#include "error.h"

#include <stdio.h>
#include <string.h>

static void append_reason(struct ten_error *err, int code)
{
	size_t used = strlen(err->text);

	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
}

int ten_error_set(struct ten_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return -1;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (code)
		append_reason(err, code);
	return -1;
}

int ten_error_say(struct ten_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return -1;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
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
