/*
 * The query of a request's target, "process=notes&search=a%20b".
 */
#ifndef TEN_HTTP_QUERY_H
#define TEN_HTTP_QUERY_H

/* The first value of NAME with its escapes undone ("+" is a space), or NULL when there is none; the
 * caller frees. What it holds may be any bytes but NUL: an escape of that, and what is no escape,
 * is kept as it is written. */
char *http_query_get(const char *query, const char *name);

#endif
