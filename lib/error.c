#include "error.h"

#include <stdio.h>
#include <string.h>

/* What was cut off may end amid a character of UTF-8, and no JSON could be made of it. */
static void end_whole(struct ten_error *err)
{
	size_t end = strlen(err->text);
	size_t begin = end;
	unsigned char first;

	if (end + 1 < sizeof(err->text))
		return;
	while (begin && ((unsigned char)err->text[begin - 1] & 0xc0) == 0x80)
		begin--;
	first = begin ? (unsigned char)err->text[begin - 1] : 0;
	if (first >= 0xc0 && end - begin < (first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1))
		err->text[begin - 1] = '\0';
}

static void fill(struct ten_error *err, int code, const char *format, va_list args)
{
	if (!err)
		return;
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), format, args);
	end_whole(err);
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
	end_whole(err);
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
	end_whole(err);
	return -1;
}
