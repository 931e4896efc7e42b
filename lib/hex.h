/*
 * Bytes as lower-case hexadecimal digits, two for each.
 */
#ifndef TEN_HEX_H
#define TEN_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* TEXT has room for 2 * COUNT digits and a NUL. */
void hex_put(const uint8_t *bytes, size_t count, char *text);

/* The 2 * COUNT digits at TEXT, which need no end. False: they are none, or upper-case. */
bool hex_take(const char *text, uint8_t *bytes, size_t count);

#endif
