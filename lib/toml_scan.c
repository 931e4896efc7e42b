#include "toml_scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

static int refuse(struct toml_fault *fault, int line, int column, const char *message)
{
	fault->line = line;
	fault->column = column;
	snprintf(fault->message, sizeof(fault->message), "%s", message);
	return -1;
}

/* The characters are valid, and none of them is NUL. */
static int scan_bytes(const unsigned char *text, size_t len, struct toml_fault *fault)
{
	int line = 1, column = 1;

	for (size_t i = 0; i < len;) {
		size_t step = utf8_length(text + i, len - i);
		if (!step)
			return refuse(fault, line, column, "this byte is not UTF-8");
		if (!text[i])
			return refuse(fault, line, column, "a NUL byte");
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else {
			column++;
		}
		i += step;
	}
	return 0;
}

/* How deep the statement at hand has gone. Every bracket and every dot of a key is a level; the
 * dots inside a bracket end with it. */
struct depth {
	unsigned levels;
	unsigned open; /* brackets */
	unsigned dots; /* of the key at hand */
	uint16_t dots_before[TOML_DEPTH_MAX + 1];
};

static void open_bracket(struct depth *depth)
{
	if (depth->open < TOML_DEPTH_MAX)
		depth->dots_before[depth->open] = (uint16_t)depth->dots;
	depth->open++;
	depth->levels++;
	depth->dots = 0;
}

static void end_key(struct depth *depth)
{
	depth->levels -= depth->dots;
	depth->dots = 0;
}

static void close_bracket(struct depth *depth)
{
	end_key(depth);
	if (!depth->open)
		return;
	depth->open--;
	depth->levels--;
	depth->dots = depth->open < TOML_DEPTH_MAX ? depth->dots_before[depth->open] : 0;
}

/* The end of the string that begins at I, as far as a parser would read it. */
static size_t string_end(const char *text, size_t len, size_t i)
{
	char quote = text[i];
	bool multi = len - i >= 3 && text[i + 1] == quote && text[i + 2] == quote;

	for (i += multi ? 3 : 1; i < len; i++) {
		if (text[i] == '\\' && quote == '"') {
			i++;
		} else if (!multi && (text[i] == quote || text[i] == '\n')) {
			return text[i] == '\n' ? i - 1 : i;
		} else if (multi && text[i] == quote && len - i >= 3 && text[i + 1] == quote &&
			   text[i + 2] == quote) {
			/* One or two more quotes belong to the string. */
			i += 2;
			while (i + 1 < len && text[i + 1] == quote)
				i++;
			return i;
		}
	}
	return len - 1;
}

static int scan_depth(const char *text, size_t len, struct toml_fault *fault)
{
	struct depth depth = { 0 };
	int line = 1;
	size_t line_start = 0;

	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '"':
		case '\'': {
			size_t end = string_end(text, len, i);
			for (; i < end; i++) {
				if (text[i] == '\n') {
					line++;
					line_start = i + 1;
				}
			}
			break;
		}
		case '#':
			while (i + 1 < len && text[i + 1] != '\n')
				i++;
			break;
		case '.':
			depth.dots++;
			depth.levels++;
			break;
		case '[':
		case '{':
			open_bracket(&depth);
			break;
		case ']':
		case '}':
			close_bracket(&depth);
			break;
		case ',':
			end_key(&depth);
			break;
		case '\n':
			line++;
			line_start = i + 1;
			if (!depth.open)
				depth = (struct depth){ 0 };
			break;
		default:
			break;
		}
		if (depth.levels > TOML_DEPTH_MAX)
			return refuse(fault, line, (int)(i - line_start) + 1,
				"tables and arrays are nested too deep");
	}
	return 0;
}

int toml_scan(const char *text, size_t len, struct toml_fault *fault)
{
	if (len > TOML_TEXT_MAX)
		return refuse(fault, 0, 0, "longer than 64 KiB");
	if (scan_bytes((const unsigned char *)text, len, fault) < 0)
		return -1;
	return scan_depth(text, len, fault);
}
