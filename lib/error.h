/*
 * The one way to report a failure.
 *
 * A function that can fail for a reason outside this program takes `struct ten_error *err` as its
 * last parameter and returns a negative int (or NULL) with *err filled. The message is made where
 * the failure is noticed; every layer above adds the path, tenant or key that it knew by
 * ten_error_wrap(). What only our own bug can break is an assert instead.
 */
#ifndef TEN_ERROR_H
#define TEN_ERROR_H

#include <stdarg.h>

#define TEN_ERROR_TEXT_MAX 1024

struct ten_error {
	int code;                      /* an errno value, 0 when none fits */
	char text[TEN_ERROR_TEXT_MAX]; /* one line for people, without a newline */
};

/* Fill *err (which may be NULL) from a format. CODE is an errno value or 0; where it is one, its
 * text is appended after ": ". Returns -1, so that `return ten_error_set(...)` reads well. */
int ten_error_set(struct ten_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same where the message says all there is to say: CODE tells the caller which kind it is. */
int ten_error_say(struct ten_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "FORMAT: " before the text of *err. Returns -1. */
int ten_error_wrap(struct ten_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
