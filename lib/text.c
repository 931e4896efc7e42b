#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static void make_room(struct text *text, size_t more)
{
	size_t room = text->room ? text->room : 128;

	if (text->len + more + 1 <= text->room)
		return;
	while (room < text->len + more + 1)
		room *= 2;
	text->data = mem_resize(text->data, room, 1);
	text->room = room;
}

void text_add(struct text *text, const char *data, size_t len)
{
	make_room(text, len);
	if (len)
		memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void text_puts(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return;
	make_room(text, (size_t)len);
	va_start(args, format);
	vsnprintf(text->data + text->len, (size_t)len + 1, format, args);
	va_end(args);
	text->len += (size_t)len;
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}

char *text_steal(struct text *text)
{
	char *data = text->data ? text->data : mem_strdup("");

	*text = (struct text){ 0 };
	return data;
}

void text_make_plain(char *string)
{
	for (; *string; string++)
		if ((unsigned char)*string < 0x20 || (unsigned char)*string >= 0x7f)
			*string = '?';
}

bool text_lists(const char *list, char between, const char *word)
{
	const char ends[] = { between, '\n', '\0' };
	size_t len = strlen(word);

	while (list && *list && *list != '\n') {
		size_t part = strcspn(list, ends);

		if (part == len && memcmp(list, word, len) == 0)
			return true;
		list += part;
		list += *list == between;
	}
	return false;
}
