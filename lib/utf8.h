/*
 * UTF-8 (RFC 3629): without overlong forms, surrogates and what is beyond U+10FFFF.
 */
#ifndef TEN_UTF8_H
#define TEN_UTF8_H

#include <stddef.h>

/* The bytes of the character that the LEFT bytes at TEXT, at least one, begin with; 0: that is
 * none. */
size_t utf8_length(const unsigned char *text, size_t left);

#endif
