/*
 * What names may look like: services and ids, host names, variables; and how a host name is made of
 * a service and an id.
 */
#ifndef TEN_NAMES_H
#define TEN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define NAMES_MAX      63  /* bytes of a service's name or an id */
#define NAMES_HOST_MAX 253 /* bytes of a host name */

/* Whether NAME is [a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?. The check says what is wrong with it. */
bool names_valid(const char *name);
int names_check(const char *name, struct ten_error *err);

/* Host names: labels of letters, digits, "-" and "_", not all digits at the end, without a port or
 * a dot at the end. names_host_lower() lowers the letters in place. */
int names_check_host(const char *host, struct ten_error *err);
void names_host_lower(char *host);

/* Whether HOST is DOMAIN or a name under it. Both in lower case. */
bool names_host_within(const char *host, const char *domain);

/* "alice.notes.example.com", or "notes.example.com" when ID is NULL. The caller frees. */
char *names_host_make(const char *id, const char *service, const char *domain);

/* The other way: what HOST, in lower case, stands for at DOMAIN. */
enum names_host {
	NAMES_HOST_OTHER,    /* not under DOMAIN, or not of our making */
	NAMES_HOST_ROOT,     /* DOMAIN itself */
	NAMES_HOST_SERVICE,  /* service.DOMAIN */
	NAMES_HOST_INSTANCE, /* id.service.DOMAIN */
};
enum names_host names_host_split(
	const char *host, const char *domain, char id[NAMES_MAX + 1], char service[NAMES_MAX + 1]);

/* Whether NAME can be an environment variable: [A-Za-z_][A-Za-z0-9_]*. */
bool names_valid_variable(const char *name);

#endif
