/*
 * What a spec's level of isolation comes to for a process that is to be started: with which
 * namespaces it is born, and what it sees of the file system. The child's side of it is
 * common/enter.h.
 */
#ifndef TEN_ISOLATION_H
#define TEN_ISOLATION_H

#include "common/enter.h"
#include "daemon/instance.h"
#include "daemon/spawn.h"

struct isolation {
	enum spec_isolation level;
	bool init;            /* the app is not the first process in its PID namespace */
	uint64_t clone_flags; /* 0: no namespaces */
	struct view view;
	struct enter enter;
	char *rootfs;
	char *kept[5];
};

/* The level that SPEC's tenant gets here: a default that cannot be given degrades. */
enum spec_isolation isolation_level(const struct daemon *d, const struct ten_spec *spec);

/* As it is written in files. */
const char *isolation_name(enum spec_isolation level);

/* For RUN, which is to be started with WORDS. The caller clears it, when the child is forked. */
int isolation_plan(struct daemon *d, const struct ten_spec *spec, const struct run *run,
	const struct spawn_words *words, struct isolation *isolation, struct ten_error *err);
void isolation_clear(struct isolation *isolation);

/* Why namespaces and a view cannot be had here, found out by trying; NULL: they can. The caller
 * frees. */
char *isolation_try(struct daemon *d);

/* A descriptor of tenement-init, to be executed; -1 with *err. */
int isolation_init_fd(struct ten_error *err);

#endif
