/*
 * What a tenant is handed of secrets when it starts: the variables of its env_file, and its
 * credentials as files in {runtime_dir}/credentials/KEY, on a tmpfs and for it alone, until it has
 * ended. Nothing of them is kept by the daemon, which knows paths, and when the files changed.
 */
#ifndef TEN_SECRETS_H
#define TEN_SECRETS_H

#include <jansson.h>

#include "daemon/instance.h"

/* Whether SPEC names any. */
bool secrets_asked(const struct ten_spec *spec);

/* PATH as it is written in SPEC, with its placeholders filled in. The caller frees. */
char *secrets_path(struct daemon *d, const struct ten_spec *spec, const char *path);

/* Read what run->spec asks for into *ENV and the folder of credentials, and note in
 * run->secrets_stamp what it was. -1: *err says what is missing or wrong. */
int secrets_give(struct daemon *d, struct run *run, char ***env, struct ten_error *err);

/* RUN has ended. */
void secrets_take_back(struct daemon *d, struct run *run);

/* RUN was taken over from an earlier life: whether it has credentials. */
void secrets_adopted(struct daemon *d, struct run *run);

/* What is there of tenants that have no process, at the start; and all of it, at the end. */
void secrets_sweep(struct daemon *d);
void secrets_end(struct daemon *d);

/* The folder of RUN's credentials; NULL: it has none. The caller frees. */
char *secrets_folder(struct daemon *d, const struct run *run);

/* {"env_file": [...], "credentials": {...}, "problem": ...}: paths alone; null: none are asked for.
 */
json_t *secrets_describe(struct daemon *d, struct instance *instance);

/* STAMP with that of one more file. */
uint64_t secrets_mix(uint64_t stamp, uint64_t of_file);

#endif
