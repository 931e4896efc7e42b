#include "daemon/private_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/nft.h"
#include "daemon/port_guard.h"
#include "egress.h"
#include "mem.h"
#include "option_value.h"

#define FORWARD      "/proc/sys/net/ipv4/ip_forward"
#define FORWARD_FILE "ip_forward" /* in the runtime folder: it was off before us */

#define AGAIN_SECONDS 5.0

static bool made;
static char *problem; /* why it is not there, or not as it should be; NULL: it is */
static double again;  /* then it is tried again */
static struct text leaving;

void private_rules_prefix(const struct daemon *d, char prefix[PRIVATE_PREFIX_SIZE])
{
	uint64_t hash = option_hash_bytes(d->data_dir, strlen(d->data_dir), 0);

	snprintf(prefix, PRIVATE_PREFIX_SIZE, "tn%06" PRIx32 "-", (uint32_t)(hash & 0xffffff));
}

static const char *table_name(const struct daemon *d)
{
	static char name[48];

	if (!*name)
		snprintf(name, sizeof(name), "%s_private", port_guard_table(d));
	return name;
}

/* ---- forwarding, which NAT needs ---- */

static int write_forward(const char *value)
{
	autoclose int fd = open(FORWARD, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, value, 1) == 1 ? 0 : -1;
}

/* The kernel has one switch for the machine. It is remembered on tmpfs that it was off. */
static int forward_packets(struct daemon *d, struct ten_error *err)
{
	autofree char *now = files_read(AT_FDCWD, FORWARD, 16, NULL, err);

	if (!now)
		return -1;
	if (*now != '0')
		return 0;
	if (files_write_fast(d->run_fd, FORWARD_FILE, "0\n", 2, 0600, err) < 0)
		return -1;
	if (write_forward("1") < 0)
		return ten_error_set(err, errno,
			"egress needs net.ipv4.ip_forward, which is off and cannot be switched on");
	log_warn("net.ipv4.ip_forward was off and is on now, for the egress of tenants; it is "
		 "switched off again at the end");
	return 0;
}

static void forward_no_more(struct daemon *d)
{
	if (unlinkat(d->run_fd, FORWARD_FILE, 0) == 0 && write_forward("0") < 0)
		log_warn(FORWARD ": %s", strerror(errno));
}

/* ---- rules ---- */

static void add_address(struct text *text, uint32_t address)
{
	struct in_addr in = { .s_addr = htonl(address) };
	char spelled[INET_ADDRSTRLEN];

	text_puts(text, inet_ntop(AF_INET, &in, spelled, sizeof(spelled)));
}

static void add_element(
	const char *verb, const struct daemon *d, const struct run *run, struct text *text)
{
	text_printf(text, "%s element inet %s tenants { ", verb, table_name(d));
	add_address(text, run->network.address);
	text_printf(text, " : goto egress_%u }\n", run->network.index);
}

/* A chain of its own for each: networks that overlap are no trouble there. */
static void add_chain(const struct daemon *d, const struct run *run, struct text *text)
{
	text_printf(text, "add chain inet %s egress_%u\nflush chain inet %s egress_%u\n",
		table_name(d), run->network.index, table_name(d), run->network.index);
}

static void add_rule(
	const struct daemon *d, const struct run *run, struct text *text, const char *written)
{
	struct egress_rule rule;

	text_printf(text, "add rule inet %s egress_%u ", table_name(d), run->network.index);
	if (!written) {
		/* Where clouds tell a machine its secrets: only for who names it. */
		text_puts(text, "ip daddr != 169.254.0.0/16 accept\n");
		return;
	}
	/* (it was checked when it was read) */
	egress_parse(written, &rule, NULL);
	egress_add_match(text, &rule);
	text_puts(text, " accept\n");
}

static void close_egress(const struct daemon *d, const struct run *run, struct text *text)
{
	add_chain(d, run, text);
	add_element("add", d, run, text); /* (what is not there cannot be deleted) */
	add_element("delete", d, run, text);
	text_printf(text, "delete chain inet %s egress_%u\n", table_name(d), run->network.index);
}

static void open_egress(const struct daemon *d, const struct run *run,
	const struct service_values *values, struct text *text)
{
	add_chain(d, run, text);
	if (!*values->egress_allow)
		add_rule(d, run, text, NULL);
	for (char **allowed = values->egress_allow; *allowed; allowed++)
		add_rule(d, run, text, *allowed);
	add_element("add", d, run, text);
}

static void add_table(const struct daemon *d, struct text *text)
{
	const char *table = table_name(d);
	char prefix[PRIVATE_PREFIX_SIZE];

	private_rules_prefix(d, prefix);
	text_printf(text,
		"add table inet %s\n"
		"delete table inet %s\n"
		"table inet %s {\n"
		"map tenants { type ipv4_addr : verdict; }\n"
		"chain local {\n"
		"type filter hook output priority filter; policy accept;\n"
		"oifname \"%s*\" goto to_tenant\n"
		"}\n"
		/* What the kernel itself says no with has no socket, nor a user. */
		"chain to_tenant {\n"
		"ct state established,related accept\n"
		"tcp flags & rst == rst accept\n"
		"icmp type destination-unreachable accept\n"
		"meta skuid ",
		table, table, table, prefix);
	port_guard_add_trusted(d, text);
	text_printf(text,
		" accept\n"
		"reject with icmpx admin-prohibited\n"
		"}\n"
		"chain from_tenant {\n"
		"type filter hook input priority filter; policy accept;\n"
		"iifname \"%s*\" ct state != { established, related } reject with icmpx "
		"admin-prohibited\n"
		"}\n"
		"chain forward {\n"
		"type filter hook forward priority filter; policy accept;\n"
		"iifname \"%s*\" goto egress\n"
		"oifname \"%s*\" ct state != { established, related } drop\n"
		"}\n"
		"chain egress {\n"
		"oifname \"%s*\" reject with icmpx admin-prohibited\n"
		"ip saddr vmap @tenants\n"
		"reject with icmpx admin-prohibited\n"
		"}\n"
		"chain translate {\n"
		"type nat hook postrouting priority srcnat; policy accept;\n"
		"iifname \"%s*\" masquerade\n"
		"}\n"
		"}\n",
		prefix, prefix, prefix, prefix, prefix);
}

/* A verdict map's goto does not come back: what a tenant's chain does not accept ends here. */
static void add_end(const struct daemon *d, const struct run *run, struct text *text)
{
	text_printf(text, "add rule inet %s egress_%u reject with icmpx admin-prohibited\n",
		table_name(d), run->network.index);
}

static bool any_private(const struct daemon *d)
{
	struct run *run, *next;

	HASH_ITER (by_pid, d->runs, run, next)
		if (run->network.kind == NETWORK_PRIVATE)
			return true;
	return false;
}

/* What is wanted of one that runs, also after its file has changed. */
static const struct service_values *values_of(struct daemon *d, const struct run *run)
{
	const struct instance *instance = instance_find(d, run->key);

	return instance && instance->spec ? &instance->spec->values : &run->spec->values;
}

static void gone(struct daemon *d);

static int build(struct daemon *d, struct ten_error *err)
{
	autotext struct text text = { 0 };
	struct run *run, *next;

	add_table(d, &text);
	HASH_ITER (by_pid, d->runs, run, next) {
		if (run->network.kind != NETWORK_PRIVATE || !run->network.egress)
			continue;
		open_egress(d, run, values_of(d, run), &text);
		add_end(d, run, &text);
	}
	text_free(&leaving);
	free(mem_steal(&problem));
	if (nft_run(text.data, err) == 0) {
		made = true;
		nft_watch(d, table_name(d), gone);
		return 0;
	}
	problem = mem_strdup(err->text);
	again = daemon_now() + AGAIN_SECONDS;
	return -1;
}

static void rebuild(struct daemon *d)
{
	bool known = problem != NULL;
	struct ten_error err;

	if (build(d, &err) == 0 && known)
		log_info("networks of tenants are closed again");
	else if (problem && !known)
		log_error("networks of tenants are not closed: %s", err.text);
}

static void gone(struct daemon *d)
{
	log_warn("somebody removed our table %s of nftables; it is made anew", table_name(d));
	rebuild(d);
}

const char *private_rules_problem(void)
{
	return problem;
}

static int make(struct daemon *d, struct ten_error *err)
{
	return made && !problem ? 0 : build(d, err);
}

static int change(struct daemon *d, struct text *text, struct ten_error *err)
{
	if (nft_run(text->data, NULL) == 0)
		return 0;
	/* Somebody was at our table: the whole of it, then. */
	return build(d, err);
}

int private_rules_add(struct daemon *d, struct run *run, const struct service_values *values,
	struct ten_error *err)
{
	run->network.egress = false;
	if (make(d, err) < 0)
		return -1;
	private_rules_turn(d);
	return private_rules_update(d, run, values, err);
}

int private_rules_update(struct daemon *d, struct run *run, const struct service_values *values,
	struct ten_error *err)
{
	autotext struct text text = { 0 };
	bool had = run->network.egress;

	if (!values->egress && !had)
		return 0;
	if (values->egress && forward_packets(d, err) < 0)
		return -1;
	run->network.egress = values->egress;
	if (values->egress) {
		open_egress(d, run, values, &text);
		add_end(d, run, &text);
	} else {
		close_egress(d, run, &text);
	}
	return change(d, &text, err);
}

void private_rules_remove(struct daemon *d, const struct run *run)
{
	if (made && run->network.egress)
		close_egress(d, run, &leaving);
}

void private_rules_turn(struct daemon *d)
{
	autotext struct text text = leaving;
	struct ten_error err;

	leaving = (struct text){ 0 };
	if (problem && daemon_now() >= again) {
		if (made || any_private(d))
			rebuild(d);
		else
			free(mem_steal(&problem));
		return;
	}
	if (made && text.len && change(d, &text, &err) < 0)
		log_error("networks of tenants: %s", err.text);
}

static void remove_table(struct daemon *d)
{
	autofree char *command = mem_printf(
		"add table inet %s\ndelete table inet %s\n", table_name(d), table_name(d));
	struct ten_error err;

	if (nft_run(command, &err) < 0)
		log_warn("%s", err.text);
}

void private_rules_start(struct daemon *d)
{
	struct run *run, *next;
	struct ten_error err;

	if (!any_private(d)) {
		remove_table(d);
		return;
	}
	HASH_ITER (by_pid, d->runs, run, next)
		if (run->network.kind == NETWORK_PRIVATE && values_of(d, run)->egress)
			run->network.egress = true;
	if (make(d, &err) < 0) /* (it is tried again) */
		log_error("networks of tenants are not closed: %s", err.text);
}

void private_rules_stop(struct daemon *d)
{
	text_free(&leaving);
	if (made)
		remove_table(d);
	made = false;
	free(mem_steal(&problem));
	forward_no_more(d);
}

int private_rules_probe(const struct daemon *d, struct ten_error *err)
{
	autotext struct text text = { 0 };

	add_table(d, &text);
	return nft_run(text.data, err);
}

int private_rules_probe_egress(struct ten_error *err)
{
	autoclose int fd = open(FORWARD, O_RDWR | O_CLOEXEC);
	char now = '0';

	if (fd >= 0)
		return 0;
	ten_error_set(err, errno, "net.ipv4.ip_forward is off and cannot be switched on");
	fd = open(FORWARD, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &now, 1) == 1 && now != '0' ? 0 : -1;
}
