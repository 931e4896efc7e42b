#include "mountinfo.h"

#include <string.h>

#include "mem.h"

/* Blanks in paths are written as \040 and the like. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
			from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

char *mountinfo_word(const char *line, size_t len, size_t word)
{
	const char *end = line + len, *blank;
	char *text;

	for (; word; word--) {
		line = memchr(line, ' ', (size_t)(end - line));
		if (!line)
			return NULL;
		line++;
	}
	len = (size_t)(end - line);
	blank = memchr(line, ' ', len);
	text = mem_strndup(line, blank ? (size_t)(blank - line) : len);
	unescape(text);
	return text;
}
