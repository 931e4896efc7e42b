/*
 * TOML 1.0, read into a tree of plain C structs with the place of every key and value.
 *
 * The tree, with all its strings, lives in one arena: toml_free() releases everything at once, and
 * nothing in it is to be changed or freed by itself. Strings are UTF-8, NUL-terminated for
 * convenience, and may hold NULs of their own (TOML's "\u0000"), hence the lengths.
 *
 * A text is refused when it is longer than TOML_TEXT_MAX, nests deeper than TOML_DEPTH_MAX, holds a
 * NUL byte or is not UTF-8. Between them the two bounds keep hostile nesting off the stack.
 */
#ifndef TEN_TOML_H
#define TEN_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOML_TEXT_MAX  (64u << 10) /* bytes */
#define TOML_DEPTH_MAX 128         /* tables and arrays inside each other within one statement */

enum toml_kind {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_DATETIME, /* with an offset */
	TOML_DATETIME_LOCAL,
	TOML_DATE_LOCAL,
	TOML_TIME_LOCAL,
	TOML_ARRAY,
	TOML_TABLE,
};

/* The parts that the kind does not have are 0. */
struct toml_moment {
	uint16_t year;
	uint8_t month, day, hour, minute, second;
	uint32_t nanosecond;
	int16_t offset_minutes;
};

struct toml_entry;

struct toml_node {
	enum toml_kind kind;
	int line, column; /* of the value, from 1; the column counts characters */
	union {
		struct {
			const char *data;
			size_t len;
		} string;
		int64_t integer;
		double real;
		bool boolean;
		struct toml_moment moment;
		struct {
			const struct toml_node *items;
			size_t count;
		} array;
		struct {
			const struct toml_entry *entries; /* in the order of the text */
			size_t count;
		} table;
	};
};

struct toml_entry {
	const char *key;
	size_t key_len;
	int line, column; /* of the key where it was first said */
	struct toml_node value;
};

struct toml_fault {
	int line, column; /* 0: the whole text */
	char message[256];
};

struct toml_document;

/* The document of TEXT, or NULL with *fault filled. The caller frees it. */
struct toml_document *toml_parse(const char *text, size_t len, struct toml_fault *fault);
void toml_free(struct toml_document *document); /* NULL is allowed */

/* The outermost table, owned by DOCUMENT. */
const struct toml_node *toml_root(const struct toml_document *document);

/* The entry KEY of TABLE (whose kind may be another: then there is none), or NULL. */
const struct toml_entry *toml_find(const struct toml_node *table, const char *key);

/* "a string", "a whole number", ...: what people call a node of KIND. */
const char *toml_kind_name(enum toml_kind kind);

/* The tree as JSON, each value as {"type": ..., "value": ...} the way the public corpus of TOML
 * tests has it. One line; the caller frees. */
char *toml_dump_json(const struct toml_node *node);

#ifdef __cplusplus
}
#endif

#endif
