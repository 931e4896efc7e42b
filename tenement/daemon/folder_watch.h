/*
 * Who wants to know that something appeared in a folder of sockets. One inotify descriptor for the
 * life of the daemon: to close one that has watches waits for the kernel's other processors, which
 * takes 10 ms and more.
 */
#ifndef TEN_FOLDER_WATCH_H
#define TEN_FOLDER_WATCH_H

#include "daemon/daemon.h"

struct folder_watch {
	int number;                   /* of the kernel's watch; -1: none */
	void (*happened)(void *data); /* may end this watch, and no other */
	void *data;
	struct folder_watch *next, *prev; /* of the same folder */
};

/* Without room for a watch nothing is ever told. */
void folder_watch_start(struct daemon *d, struct folder_watch *watch, const char *folder,
	void (*happened)(void *data), void *data);
void folder_watch_end(struct folder_watch *watch);

#endif
