/*
 * Fields of a line that is a JSON object, found without building anything.
 */
#ifndef TEN_LOG_FIELD_H
#define TEN_LOG_FIELD_H

#include <stdbool.h>
#include <stddef.h>

/* Asked of a value as it is written, a string without its quotes. */
typedef bool log_field_test(void *data, const char *value, size_t len);

enum log_field { LOG_FIELD_NO, LOG_FIELD_YES, LOG_FIELD_NOT_JSON };

/* Whether TEST holds of a value called PATH ("user.id": id in user, or a member of that name; in
 * each element of an array). Case does not matter. */
enum log_field log_field_find(const char *line, size_t len, const char *path, size_t path_len,
	log_field_test *test, void *data);

#endif
