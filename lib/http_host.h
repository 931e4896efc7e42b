/*
 * The host of a request: its grammar, and the one form in which names are compared.
 *
 * Accepted is less than RFC 3986 allows: letters, digits, '-', '_' and '.', an IPv4 address, or an
 * IPv6 address in brackets; then optionally ':' and a port. No user info, no percent encoding.
 */
#ifndef TEN_HTTP_HOST_H
#define TEN_HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "http_field.h"

#define HTTP_HOST_MAX 253

/* Split "name", "name:port" or "[v6]:port". False: not a valid host. NAME keeps its brackets. */
bool http_host_split(const char *data, size_t len, struct http_text *name, struct http_text *port);

/* NAME in lower case without a trailing dot, NUL-terminated. Returns its length, 0 when nothing is
 * left of it or it is longer than a host name can be. */
size_t http_host_normalize(const struct http_text *name, char out[HTTP_HOST_MAX + 1]);

/* The name is an IPv4 address or an IPv6 address in brackets. */
bool http_host_is_address(const char *name, size_t len);

#endif
