#include "env_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "mem.h"
#include "names.h"

struct reader {
	const char *text;
	size_t len, at;
	int line, column; /* of text[at], from 1 */
};

struct place {
	int line, column;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_over(const struct reader *reader)
{
	return reader->at >= reader->len;
}

static char peek(const struct reader *reader)
{
	return is_over(reader) ? '\n' : reader->text[reader->at];
}

static struct place here(const struct reader *reader)
{
	return (struct place){ reader->line, reader->column };
}

static char take(struct reader *reader)
{
	char c = peek(reader);

	reader->at++;
	reader->column++;
	/* (the bytes of a character that go on are no columns) */
	if (((unsigned char)c & 0xc0) == 0x80)
		reader->column--;
	if (c == '\n') {
		reader->line++;
		reader->column = 1;
	}
	return c;
}

static int refuse(struct place place, const char *what, struct ten_error *err)
{
	return ten_error_set(err, 0, "line %d, column %d: %s", place.line, place.column, what);
}

static void skip_blanks(struct reader *reader)
{
	while (!is_over(reader) && is_blank(peek(reader)))
		take(reader);
}

static void skip_line(struct reader *reader)
{
	while (!is_over(reader) && take(reader) != '\n')
		;
}

/* "NAME=" into OUT; *len is how long that is. */
static int read_name(struct reader *reader, char *out, size_t *len, struct ten_error *err)
{
	struct place place = here(reader);
	size_t used = 0;

	while (!is_over(reader) && peek(reader) != '=' && peek(reader) != '\n')
		out[used++] = take(reader);
	if (is_over(reader) || peek(reader) != '=')
		return refuse(place, "a line is NAME=value; there is no \"=\" in it", err);
	while (used && is_blank(out[used - 1]))
		used--;
	out[used] = '\0';
	if (strncmp(out, "export", 6) == 0 && is_blank(out[6]))
		return refuse(place, "this is no shell script: leave out \"export\"", err);
	if (strlen(out) != used || !names_valid_variable(out))
		return refuse(place,
			"what stands before \"=\" cannot be a variable: its name is made of "
			"letters, digits and \"_\", and begins with no digit",
			err);
	if (config_check_reserved(out))
		return refuse(place,
			"this variable is set by tenement itself (PORT, SOCKET_PATH, ...)", err);
	out[used++] = take(reader);
	*len = used;
	return 0;
}

/* What stands between two QUOTEs. */
static int read_quoted(struct reader *reader, char *out, size_t *used, struct ten_error *err)
{
	struct place place = here(reader);
	char quote = take(reader), c;

	while (!is_over(reader)) {
		c = take(reader);
		if (c == quote)
			return 0;
		if (c == '\\' && quote == '"' && !is_over(reader) &&
			strchr("\"\\`$\n", peek(reader))) {
			c = take(reader);
			if (c == '\n')
				continue;
		}
		out[(*used)++] = c;
	}
	return refuse(place, "the quote that begins here does not end", err);
}

/* The value, behind what OUT holds. */
static int read_value(struct reader *reader, char *out, size_t *used, struct ten_error *err)
{
	size_t keep = *used; /* blanks at the end that were quoted are meant */

	skip_blanks(reader);
	while (!is_over(reader)) {
		char c = peek(reader);

		if (c == '\n') {
			take(reader);
			break;
		}
		if (c == '\'' || c == '"') {
			if (read_quoted(reader, out, used, err) < 0)
				return -1;
			keep = *used;
			continue;
		}
		take(reader);
		if (c == '\\' && !is_over(reader)) {
			c = take(reader);
			if (c == '\n')
				continue;
			out[(*used)++] = c;
			keep = *used;
			continue;
		}
		out[(*used)++] = c;
		if (!is_blank(c))
			keep = *used;
	}
	*used = keep;
	return 0;
}

void env_file_wipe_text(char *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
	free(data);
}

static int put(struct env_file *file, const char *pair, size_t len, struct place place,
	struct ten_error *err)
{
	size_t name_len = strcspn(pair, "=") + 1;
	char *copy = mem_strndup(pair, len);

	for (size_t i = 0; i < file->count; i++) {
		if (strncmp(file->pairs[i], pair, name_len) != 0)
			continue;
		env_file_wipe_text(file->pairs[i], strlen(file->pairs[i]));
		file->pairs[i] = copy;
		return 0;
	}
	if (file->count == ENV_FILE_PAIRS_MAX) {
		env_file_wipe_text(copy, len);
		return refuse(place, "more than 4096 variables", err);
	}
	file->pairs = mem_resize(file->pairs, file->count + 1, sizeof(*file->pairs));
	file->pairs[file->count++] = copy;
	return 0;
}

/* LINE is room for the longest line there can be. */
static int parse(struct reader *reader, char *line, struct env_file *file, struct ten_error *err)
{
	while (!is_over(reader)) {
		struct place place;
		size_t len = 0;

		skip_blanks(reader);
		if (is_over(reader))
			return 0;
		if (peek(reader) == '#' || peek(reader) == ';' || peek(reader) == '\n') {
			skip_line(reader);
			continue;
		}
		place = here(reader);
		if (read_name(reader, line, &len, err) < 0 ||
			read_value(reader, line, &len, err) < 0 ||
			put(file, line, len, place, err) < 0)
			return -1;
	}
	return 0;
}

int env_file_parse(const char *text, size_t len, struct env_file *file, struct ten_error *err)
{
	struct reader reader = { .text = text, .len = len, .line = 1, .column = 1 };
	char *line;
	int result;

	if (len > ENV_FILE_MAX)
		return ten_error_set(err, 0, "it is larger than 1 MiB");
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		reader.at = 3;
	for (struct reader look = reader; !is_over(&look);) {
		struct place place = here(&look);

		if (!take(&look))
			return refuse(place, "a NUL character", err);
	}
	line = mem_alloc(len + 1);
	result = parse(&reader, line, file, err);
	env_file_wipe_text(line, len + 1);
	return result;
}

void env_file_wipe(struct env_file *file)
{
	for (size_t i = 0; i < file->count; i++)
		env_file_wipe_text(file->pairs[i], strlen(file->pairs[i]));
	free(file->pairs);
	*file = (struct env_file){ 0 };
}
