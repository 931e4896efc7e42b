/*
 * What is checked of a TOML text before it is parsed: its size, its bytes, and how deep it nests,
 * so that the parser, which recurses, cannot be led to the end of the stack.
 */
#ifndef TEN_TOML_SCAN_H
#define TEN_TOML_SCAN_H

#include <stddef.h>

#include "toml.h"

/* 0, or -1 with *fault filled. */
int toml_scan(const char *text, size_t len, struct toml_fault *fault);

#endif
