/*
 * Asking a daemon that is reached by a URL: how libcurl is to behave, and what its failures and
 * answers that are not the daemon's mean.
 */
#ifndef TEN_REMOTE_H
#define TEN_REMOTE_H

#include <curl/curl.h>

#include "cli/server.h"

/* One request's way there. */
struct remote {
	struct server server;
	char *const *places; /* "127.0.0.1:8080": connect to these alone; borrowed; NULL: to any */
	bool in_clear;       /* it was not connected to, for it is another machine and plain http */
	bool misplaced;      /* nor there, for it is none of the places */
};

/* Make CURL ask there; REMOTE outlives it. */
void remote_prepare(struct remote *remote, CURL *curl);

/* Whether anything answers at SERVER, which is shown no token. */
bool remote_answers(const char *server);

/* Say why there is no answer. Returns the exit code. */
int remote_explain(const struct remote *remote, CURL *curl, CURLcode failed, const char *reason);

/* Say that what answers is not a tenement: its STATUS has no error in JSON. */
int remote_explain_stranger(const struct remote *remote, CURL *curl, long status);

#endif
