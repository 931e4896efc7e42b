/*
 * isolation = "sandbox": what is added to the namespaces of a tenant whose program is not trusted.
 * Natively that are filters of system calls and of paths (common/confine.h), taken on by the
 * tenant's process itself; or its program is run by gVisor (sandbox_gvisor.h).
 */
#ifndef TEN_SANDBOX_H
#define TEN_SANDBOX_H

#include "common/confine.h"
#include "daemon/isolation.h"

struct sandbox {
	enum sandbox_kind { SANDBOX_KIND_NONE, SANDBOX_KIND_NATIVE, SANDBOX_KIND_GVISOR } kind;
	struct confine confine;         /* NATIVE */
	struct confine_path *paths;     /* of that; their texts are the view's or static */
	char *workdir, *program_folder; /* two of those */
	int program;                    /* GVISOR: what is to be executed; -1: none */
};

/* Whether SPEC's tenant runs in gVisor. */
bool sandbox_is_gvisor(const struct ten_spec *spec);

/* Note in d->machine which of them cannot be had here. After the namespaces were. */
void sandbox_find_lacks(struct daemon *d);

/* For RUN, which is to be started with WORDS in ISOLATION; what gVisor changes of WORDS is changed.
 * The caller clears it, before those two. */
int sandbox_plan(struct daemon *d, const struct run *run, const struct isolation *isolation,
	struct spawn_words *words, struct sandbox *sandbox, struct ten_error *err);
void sandbox_clear(struct sandbox *sandbox);

/* When its process has ended. */
void sandbox_end(struct daemon *d, const struct run *run);

#endif
