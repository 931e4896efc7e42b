/*
 * Starting a tenant's process: its folders, uid, environment, output and limits.
 */
#ifndef TEN_SPAWN_H
#define TEN_SPAWN_H

#include "daemon/instance.h"

/* Start INSTANCE from its spec; instance->run is filled. Whether exec goes well is seen by its exit
 * and spawn_problem(). -1 with *err for what the operator is to read, with nothing left behind. */
int spawn_start(struct daemon *d, struct instance *instance, struct ten_error *err);

/* Why RUN's process could not become what it was to be: NULL when it could, or is not so far. The
 * caller frees. Says it once. */
char *spawn_problem(const struct run *run);

/* The environment and words a tenant is started with, for `ten exec` too. Each is an owned strv. */
struct spawn_words {
	char **argv;
	char **env;
	char *workdir;
};
int spawn_words_make(struct daemon *d, const struct ten_spec *spec, const struct run *run,
	struct spawn_words *words, struct ten_error *err);
void spawn_words_free(struct spawn_words *words);

/* Who SPEC's tenant runs as. */
int spawn_identity(struct daemon *d, const struct ten_spec *spec, uint32_t *uid, uint32_t *gid,
	struct ten_error *err);

/* A port of the range, which nobody is given by this: for who is not there to have one. */
uint16_t spawn_any_port(struct daemon *d);

/* Where its socket is; the caller frees. */
char *spawn_socket_path(struct daemon *d, const struct ten_spec *spec, struct ten_error *err);

#endif
