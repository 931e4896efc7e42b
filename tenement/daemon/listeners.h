/*
 * The addresses that the proxy listens on. Their sockets are the keeper's; a changed list is put in
 * force by giving each lane a new worker with the new sockets (upgrade.h), so that no connection
 * that was accepted on any of them, removed ones included, is touched.
 */
#ifndef TEN_LISTENERS_H
#define TEN_LISTENERS_H

#include "daemon/daemon.h"

/* Those handed down to us, or those of the settings that this daemon starts with. */
int listeners_start(struct daemon *d, struct ten_error *err);

/* The settings have changed, perhaps: begin what is new, end what is gone. What cannot be begun is
 * tried again every few seconds; until all are there, none is ended. */
void listeners_update(struct daemon *d);
char **listeners_problems(void); /* why some are not there; NULL: all are */

/* All workers have the present ones. */
void listeners_known(struct daemon *d);

/* An end leaves no unix socket that was listened on. */
void listeners_remove_sockets(void);

/* "127.0.0.1:8080" for each address in use, with the port that the kernel chose for port 0. */
char **listeners_addresses(void);

#endif
