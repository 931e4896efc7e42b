#include "daemon/port_guard.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/become.h"
#include "common/log.h"
#include "config_address.h"
#include "config_set.h"
#include "daemon/listeners.h"
#include "daemon/nft.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"

static bool started;
static char *problem;
static struct text leaving; /* commands that take out the ports of those that ended */
static char *sealing;       /* the rules of listeners that are in force, or were to be */

const char *port_guard_table(const struct daemon *d)
{
	static char name[32];

	if (!*name)
		snprintf(name, sizeof(name), "tenement_%016" PRIx64,
			option_hash_bytes(d->data_dir, strlen(d->data_dir), 0));
	return name;
}

void port_guard_add_trusted(const struct daemon *d, struct text *text)
{
	text_puts(text, "{ 0");
	if (d->proxy_uid != UINT32_MAX && d->proxy_uid != 0)
		text_printf(text, ", %u", d->proxy_uid);
	text_puts(text, " }");
}

static void add_elements(
	const char *verb, const char *table, const struct run *run, struct text *text)
{
	text_printf(text, "%s element inet %s ports { %u }\n", verb, table, run->port);
	if (run->uid != BECOME_KEEP)
		text_printf(text, "%s element inet %s owners { %u . %u }\n", verb, table, run->uid,
			run->port);
}

static bool is_guarded(const struct run *run)
{
	return run->network.kind == NETWORK_HOST && run->port;
}

/* ---- our listeners ---- */

/* ::ffff:0:0/96, as which the proxy sees who comes by IPv4. */
static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };

static void add_seal(
	const struct daemon *d, const char *source, const char *ports, struct text *text)
{
	text_printf(text, "meta skuid %u-%u %s tcp dport { %s} reject with tcp reset\n",
		d->uid_first, d->uid_last, source, ports);
}

/* Whoever comes from NETWORK is believed. */
static void seal_network(const struct daemon *d, const struct config_network *network,
	const char *ports, struct text *text)
{
	char address[INET6_ADDRSTRLEN], source[INET6_ADDRSTRLEN + 32];
	bool in_mapped = network->prefix >= 96 && memcmp(network->bytes, mapped, 12) == 0;

	if (network->family == CONFIG_IPV4 || in_mapped) {
		inet_ntop(AF_INET, network->bytes + (in_mapped ? 12 : 0), address, sizeof(address));
		snprintf(source, sizeof(source), "ip saddr %s/%d", address,
			network->prefix - (in_mapped ? 96 : 0));
		add_seal(d, source, ports, text);
		return;
	}
	inet_ntop(AF_INET6, network->bytes, address, sizeof(address));
	snprintf(source, sizeof(source), "ip6 saddr %s/%d", address, network->prefix);
	add_seal(d, source, ports, text);
	if (network->prefix < 96 && config_network_holds(network, CONFIG_IPV6, mapped))
		add_seal(d, "meta nfproto ipv4", ports, text);
}

/* A tenant on this machine is not one of trusted_proxies, though it may have their address: it does
 * not begin a connection from there to what we listen on. The caller frees. */
static char *seal(const struct daemon *d)
{
	const struct setting_values *settings = config_set_settings(d->set);
	char **trusted = settings->trusted_proxies, **addresses = listeners_addresses();
	autotext struct text ports = { 0 }, text = { 0 };

	for (size_t i = 0; addresses && addresses[i]; i++) {
		const char *colon = strrchr(addresses[i], ':');

		if (colon && *addresses[i] != '/')
			text_printf(&ports, "%s%s ", ports.len ? ", " : "", colon + 1);
	}
	for (size_t i = 0; ports.len && trusted && trusted[i]; i++) {
		struct config_network network;
		struct ten_error err;

		if (config_network_parse(trusted[i], &network, &err) == 0)
			seal_network(d, &network, ports.data, &text);
	}
	return text_steal(&text);
}

/* Loopback or a part of it; whoever is on this machine may have any address of that. */
static bool has_loopback(const struct config_network *network)
{
	static const uint8_t four[16] = { 127, 0, 0, 1 }, six[16] = { [15] = 1 },
			     both[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
	const uint8_t *bytes = network->bytes;

	if (network->family == CONFIG_IPV4)
		return bytes[0] == 127 || config_network_holds(network, CONFIG_IPV4, four);
	return (memcmp(bytes, mapped, 12) == 0 && bytes[12] == 127) ||
	       config_network_holds(network, CONFIG_IPV6, six) ||
	       config_network_holds(network, CONFIG_IPV6, both);
}

bool port_guard_is_forgeable(const struct daemon *d)
{
	char **trusted = config_set_settings(d->set)->trusted_proxies;

	for (size_t i = 0; problem && trusted && trusted[i]; i++) {
		struct config_network network;
		struct ten_error err;

		if (config_network_parse(trusted[i], &network, &err) == 0 && has_loopback(&network))
			return true;
	}
	return false;
}

/* All of it in one transaction: what was there is in force until this is. Beginnings of
 * connections alone are looked at, so that nothing that stands is harmed, and the rest costs the
 * proxy next to nothing. */
static int build(struct daemon *d, struct ten_error *err)
{
	const char *table = port_guard_table(d);
	autotext struct text text = { 0 };
	struct run *run, *next;

	free(sealing);
	sealing = seal(d);
	text_printf(&text,
		"add table inet %s\n"
		"delete table inet %s\n"
		"table inet %s {\n"
		"set ports { type inet_service; }\n"
		"set owners { type uid . inet_service; }\n"
		"chain guarded {\n"
		"meta skuid ",
		table, table, table);
	port_guard_add_trusted(d, &text);
	text_puts(&text, " accept\n"
			 "meta skuid . tcp dport @owners accept\n"
			 "reject with tcp reset\n"
			 "}\n"
			 "chain local {\n"
			 "type filter hook output priority filter; policy accept;\n"
			 "oif != lo accept\n"
			 "tcp flags & (syn | ack) != syn accept\n");
	text_puts(&text, sealing);
	text_puts(&text,
		"tcp dport @ports goto guarded\n"
		"}\n"
		"chain remote {\n"
		"type filter hook input priority filter; policy accept;\n"
		"iif != lo tcp flags & (syn | ack) == syn tcp dport @ports reject with tcp reset\n"
		"}\n"
		"}\n");
	HASH_ITER (by_pid, d->runs, run, next)
		if (is_guarded(run))
			add_elements("add", table, run, &text);
	text_free(&leaving);
	return nft_run(text.data, err);
}

static void rebuild(struct daemon *d)
{
	struct ten_error err;

	if (build(d, &err) == 0) {
		if (problem)
			log_info("the ports of tenants are closed to others again");
		free(mem_steal(&problem));
		return;
	}
	if (!problem)
		log_error("the ports of tenants are not closed to others: %s", err.text);
	free(problem);
	problem = mem_strdup(err.text);
}

void port_guard_settings_changed(struct daemon *d)
{
	autofree char *wanted = started ? seal(d) : NULL;

	if (wanted && strcmp(wanted, sealing) != 0)
		rebuild(d);
}

static void gone(struct daemon *d)
{
	log_warn("somebody removed our table %s of nftables; it is made anew", port_guard_table(d));
	rebuild(d);
}

int port_guard_start(struct daemon *d, struct ten_error *err)
{
	if (!d->root)
		ten_error_set(err, 0, "it needs a daemon that is root");
	if (!d->root || build(d, err) < 0) {
		problem = mem_strdup(err->text);
		return -1;
	}
	started = true;
	nft_watch(d, port_guard_table(d), gone);
	return 0;
}

void port_guard_stop(struct daemon *d)
{
	autofree char *command = NULL;
	struct ten_error err;

	if (!started)
		return;
	started = false;
	text_free(&leaving);
	free(mem_steal(&sealing));
	command = mem_printf("delete table inet %s\n", port_guard_table(d));
	if (nft_run(command, &err) < 0)
		log_warn("%s", err.text);
}

void port_guard_add(struct daemon *d, struct run *run)
{
	autotext struct text text = { 0 };

	if (!started || !is_guarded(run))
		return;
	if (leaving.len)
		text_add(&text, leaving.data, leaving.len);
	text_free(&leaving);
	add_elements("add", port_guard_table(d), run, &text);
	/* Somebody was at our table: the whole of it, then. */
	if (problem || nft_run(text.data, NULL) < 0)
		rebuild(d);
}

void port_guard_remove(struct daemon *d, const struct run *run)
{
	if (!started || !is_guarded(run))
		return;
	/* (what is not there cannot be deleted) */
	add_elements("add", port_guard_table(d), run, &leaving);
	add_elements("delete", port_guard_table(d), run, &leaving);
}

void port_guard_turn(struct daemon *d)
{
	autotext struct text text = leaving;

	leaving = (struct text){ 0 };
	if (started && text.len && nft_run(text.data, NULL) < 0)
		rebuild(d);
}

const char *port_guard_problem(void)
{
	return problem;
}
