/* Connecting to a tenant's unix socket, whose folder is the tenant's. */
#ifndef COMMON_UNIX_CONNECT_H
#define COMMON_UNIX_CONNECT_H

enum unix_links {
	UNIX_LINKS_NONE,  /* no link anywhere on the path is followed */
	UNIX_LINKS_ABOVE, /* those above the socket's own name are */
};

/* connect(2) of FD to the socket at PATH, which has fewer than 108 bytes. Where a tenant has put a
 * link instead, it would lead us to what only we may speak to: the daemon's own socket, a
 * neighbour's, whatever else listens on this machine under our uid. -1 with errno: ELOOP on a path,
 * ECONNREFUSED where the link is the last. */
int unix_connect(int fd, const char *path, enum unix_links links);

#endif
