/*
 * Who asks: a uid at the control socket, or a token; and how much of the tenants they see.
 */
#ifndef TEN_PRINCIPAL_H
#define TEN_PRINCIPAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "config_set.h"

struct instance;

enum principal_scope {
	SCOPE_NONE, /* nobody has said who it is */
	SCOPE_ALL,
	SCOPE_TENANT,   /* all that bear the id OF, in every service */
	SCOPE_INSTANCE, /* OF alone, "service:id" */
};

struct principal {
	char name[64]; /* "uid 0", "token 3fa9c2d1" */
	bool local;    /* at the control socket: UID is the kernel's word */
	uid_t uid;
	bool read_only;
	enum principal_scope scope;
	char of[CONFIG_INSTANCE_MAX]; /* "" for SCOPE_ALL */
};

bool principal_sees(const struct principal *who, const struct instance *instance);
/* The same of "service:id", declared or not. */
bool principal_sees_key(const struct principal *who, const char *key);

#endif
