/*
 * A uid for each tenant with user = "dynamic": the same one always, kept in
 * {data_dir}/.tenement/uids, one line "UID service:id" each.
 */
#ifndef TEN_UIDS_H
#define TEN_UIDS_H

#include "daemon/daemon.h"

/* Read what was given out before. */
int uids_load(struct daemon *d, struct ten_error *err);

/* The uid of KEY ("service:id", or "proxy" and "logger" for our own programs), given out now if
 * need be. A uid whose tenant is gone is used again only when its folder is gone too. */
int uids_get(struct daemon *d, const char *key, uint32_t *uid, struct ten_error *err);

/* Whose UID is, NULL: nobody's. */
const char *uids_key(uint32_t uid);

#endif
