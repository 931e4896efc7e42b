/*
 * How much each tenant has stored, and what follows when that is more than storage_quota_mb.
 *
 * Those that run, and those that are full, are looked at: by the file system's own count where it
 * has project quotas, else by a helper that goes through their folders (storage_helper.h). The loop
 * itself touches no disk for it but for a small file per tenant, {data_dir}/.tenement/storage/KEY,
 * so that who was full is so after any restart.
 */
#ifndef TEN_STORAGE_H
#define TEN_STORAGE_H

#include <jansson.h>

#include "daemon/instance.h"

struct text;

/* Read what an earlier life knew. */
int storage_start(struct daemon *d, struct ten_error *err);

/* INSTANCE has another state or process. */
void storage_state_is(struct daemon *d, struct instance *instance);
/* What is wanted of it may have changed: before storage_stops() is asked. */
void storage_want(struct daemon *d, struct instance *instance, const struct ten_spec *spec);
/* It is no longer declared. */
void storage_forget(struct daemon *d, const char *key);

/* Whether, by SPEC, it is to have no process because it has stored too much. */
bool storage_stops(const struct ten_spec *spec);

/* Whether it is not to write to its folders because it has stored too much. */
bool storage_reads_only(const struct instance *instance);

/* Bytes; STORAGE_UNKNOWN: it was not looked at yet. */
uint64_t storage_used(const struct instance *instance);
uint64_t storage_quota(const struct instance *instance); /* 0: none */

/* That it is near its quota or beyond, for people; NULL: it is not. The caller frees. */
char *storage_reason(const struct instance *instance);
/* Whether an operator is to be told. */
bool storage_is_trouble(const struct instance *instance);

/* {"used_bytes", "quota_bytes", "usage_percent", "path", ...}. */
json_t *storage_describe(const struct instance *instance);
/* How it is found out on this machine, for people. */
const char *storage_way(void);

#endif
