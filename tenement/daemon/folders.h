/*
 * A tenant's folders. Root never follows a link in them and never changes owners below them.
 */
#ifndef TEN_FOLDERS_H
#define TEN_FOLDERS_H

#include "daemon/daemon.h"

/* Its data folder and what else below data_dir it claims, made 0700 and its own. UID BECOME_KEEP:
 * they are ours. */
int folders_make_data(struct daemon *d, const struct ten_spec *spec, uint32_t uid, uint32_t gid,
	struct ten_error *err);

/* The folder of its socket: its own, the proxy may pass through. What an earlier life left at
 * SOCKET_PATH is removed. */
int folders_make_socket(struct daemon *d, const char *socket_path, uint32_t uid, uint32_t gid,
	struct ten_error *err);

/* Remove the socket and its folder of a tenant that is no longer declared. */
void folders_remove_socket(struct daemon *d, const char *key);

/* Each file of the folder NAME in the runtime folder, but for hidden ones. */
void folders_visit(
	struct daemon *d, const char *name, void (*visit)(struct daemon *d, const char *file));

#endif
