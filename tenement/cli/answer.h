/*
 * Reading the daemon's answers: a field that is missing or of another type is "", 0, false or an
 * empty list, so that a newer daemon's answer never stops an older `ten`.
 */
#ifndef TEN_ANSWER_H
#define TEN_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

#define autojson __attribute__((cleanup(answer_release)))

const char *answer_text(const json_t *object, const char *key);
int64_t answer_number(const json_t *object, const char *key); /* -1 when null or missing */
bool answer_flag(const json_t *object, const char *key);
size_t answer_count(const json_t *object, const char *key); /* length of a list */
const json_t *answer_list(
	const json_t *object, const char *key); /* NULL: no list; fit for json_array_foreach */

/* All strings of a list on one line with BETWEEN between; the caller frees. */
char *answer_joined(const json_t *object, const char *key, const char *between);

/* Print ANSWER for programs. */
void answer_print(const json_t *answer);
void answer_print_line(const json_t *answer); /* in one line */

/* Spell out what would steer a terminal in all strings and keys of it; newlines stay. */
void answer_make_harmless(json_t *answer);

void answer_release(json_t **answer);

#endif
