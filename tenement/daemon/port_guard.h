/*
 * The ports of tenants on the machine's own network: rules of nftables by which nobody connects to
 * one but the proxy, root, and the tenant whose it is; from other machines nobody. A port is
 * closed before the process it was given to begins, and open to all again when it is nobody's.
 * Neither does a tenant connect to our own listeners from an address of trusted_proxies, as whose
 * its headers would be believed.
 */
#ifndef TEN_PORT_GUARD_H
#define TEN_PORT_GUARD_H

#include "daemon/instance.h"
#include "text.h"

/* Put the rules in force, for all that runs. -1 with *err: it cannot be done here, and the ports
 * are as open as the machine's other ones. */
int port_guard_start(struct daemon *d, struct ten_error *err);
void port_guard_stop(struct daemon *d); /* the end of the tenement */

void port_guard_add(struct daemon *d, struct run *run);
void port_guard_remove(struct daemon *d, const struct run *run); /* with port_guard_turn() */
void port_guard_turn(struct daemon *d);

/* trusted_proxies or the addresses that are listened on may have changed. */
void port_guard_settings_changed(struct daemon *d);

/* Whether tenants are believed as trusted_proxies, since loopback is among those and the rules are
 * not in force. */
bool port_guard_is_forgeable(const struct daemon *d);

/* Why the rules are not in force; NULL: they are. */
const char *port_guard_problem(void);

/* "tenement_0123456789abcdef", from which all names of ours begin. */
const char *port_guard_table(const struct daemon *d);

/* Add "{ 0, 990 }", who may reach tenants: root and the proxy. */
void port_guard_add_trusted(const struct daemon *d, struct text *text);

#endif
