/*
 * Sockets that listen on an address of the settings: "127.0.0.1:8080", "[::]:80", "unix:/path".
 */
#ifndef TEN_LISTEN_SOCKET_H
#define TEN_LISTEN_SOCKET_H

#include <stdbool.h>

#include "error.h"

bool listen_socket_is_path(const char *address);
const char *listen_socket_path(const char *address); /* of "unix:/path" */

/* A new one; others may be opened on the same port (SO_REUSEPORT). A path is open to everybody, and
 * what a program that is gone left there is removed. */
int listen_socket_open_port(const char *address, struct ten_error *err);
int listen_socket_open_path(const char *address, struct ten_error *err);

/* With SO_REUSEPORT a second tenement would share our port unnoticed: ask first without it. */
int listen_socket_check_free(const char *address, struct ten_error *err);

/* As it is bound, with the port that the kernel chose for port 0; the caller frees. */
char *listen_socket_address(int fd, const char *address);

#endif
