#include "cli/visible.h"

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define ELLIPSIS "…"

void visible_init(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
}

/* The character at TEXT, or -1 where it is not UTF-8; *size is what it takes there, at least 1. */
static int32_t decode(const char *text, size_t len, size_t *size)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)text[0];
	size_t want = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : 2;
	uint32_t code = want == 1 ? first : first & (0xffu >> (want + 1));

	*size = 1;
	if ((first >= 0x80 && first < 0xc2) || first >= 0xf5 || want > len)
		return -1;
	for (size_t i = 1; i < want; i++) {
		unsigned char next = (unsigned char)text[i];

		if ((next & 0xc0) != 0x80)
			return -1;
		code = code << 6 | (next & 0x3f);
	}
	if (want > 1 && code < least[want])
		return -1;
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return -1;
	*size = want;
	return (int32_t)code;
}

static bool is_harmful(int32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0xfeff ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f);
}

static void add(struct text *out, const char *text, size_t len, bool keep_newlines)
{
	size_t size;

	for (size_t at = 0; at < len; at += size) {
		int32_t code = decode(text + at, len - at, &size);

		if (code == '\n' && keep_newlines)
			text_add(out, "\n", 1);
		else if (code == '\n' || code == '\t')
			text_add(out, " ", 1);
		else if (code >= 0x100 && is_harmful(code))
			text_printf(out, "\\u%04x", (unsigned)code);
		else if (code < 0)
			text_printf(out, "\\x%02x", (unsigned char)text[at]);
		else if (is_harmful(code))
			text_printf(out, "\\x%02x", (unsigned)code);
		else
			text_add(out, text + at, size);
	}
}

void visible_add(struct text *out, const char *text, size_t len)
{
	add(out, text, len, false);
}

char *visible_line(const char *text)
{
	struct text out = { 0 };

	add(&out, text, strlen(text), false);
	return text_steal(&out);
}

char *visible_lines(const char *text)
{
	struct text out = { 0 };

	add(&out, text, strlen(text), true);
	return text_steal(&out);
}

static size_t width_of(int32_t code)
{
	int width = code < 0 ? 1 : wcwidth((wchar_t)code);

	return width < 0 ? 1 : (size_t)width;
}

size_t visible_width(const char *text)
{
	size_t len = strlen(text), width = 0, size;

	for (size_t at = 0; at < len; at += size)
		width += width_of(decode(text + at, len - at, &size));
	return width;
}

void visible_cut(struct text *out, const char *text, size_t width)
{
	size_t len = strlen(text), used = 0, at = 0, size;

	if (visible_width(text) <= width) {
		text_add(out, text, len);
		return;
	}
	for (; at < len; at += size) {
		size_t more = width_of(decode(text + at, len - at, &size));

		if (used + more + 1 > width)
			break;
		used += more;
	}
	text_add(out, text, at);
	if (width)
		text_puts(out, ELLIPSIS);
}
