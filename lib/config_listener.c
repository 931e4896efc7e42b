#include "config_listener.h"

#include <stdbool.h>
#include <string.h>

#include "config_address.h"
#include "config_path.h"
#include "mem.h"

struct listener {
	const char *text;
	struct config_at at;
	struct config_address address;
};

struct listeners {
	struct listener items[CONFIG_LISTENERS_MAX];
	size_t count;
};

static bool is_any(const struct config_address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

static bool same_path(const char *one, const char *other)
{
	autofree char *path = config_path_normalize(one);
	autofree char *other_path = config_path_normalize(other);

	return strcmp(path, other_path) == 0;
}

static bool is_same(const struct config_address *one, const struct config_address *other)
{
	if (one->family != other->family)
		return false;
	if (one->family == CONFIG_UNIX)
		return same_path(one->path, other->path);
	/* Port 0 is another one each time. */
	return one->port && one->port == other->port &&
	       memcmp(one->bytes, other->bytes, sizeof(one->bytes)) == 0;
}

/* One of them is all addresses of the other's family. ([::] is not of IPv4.) */
static bool overlap(const struct config_address *one, const struct config_address *other)
{
	return one->family == other->family && one->family != CONFIG_UNIX && one->port &&
	       one->port == other->port && (is_any(one) || is_any(other));
}

static void compare(struct config_file *file, const struct listeners *listeners,
	const struct listener *listener)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *other = &listeners->items[i];

		if (is_same(&other->address, &listener->address))
			config_problems_add(&file->problems, listener->at,
				"\"%.120s\" is listened on twice: line %d has it too",
				listener->text, other->at.line);
		else if (overlap(&other->address, &listener->address))
			config_problems_add(&file->problems, listener->at,
				"\"%.120s\" and \"%.120s\" (line %d) hold each other's port: one "
				"of "
				"them has to go",
				listener->text, other->text, other->at.line);
		else
			continue;
		return;
	}
}

static bool is_loopback(const struct config_address *address)
{
	static const uint8_t v6[16] = { [15] = 1 };

	return address->family == CONFIG_UNIX ||
	       (address->family == CONFIG_IPV4 ? address->bytes[0] == 127
					       : memcmp(address->bytes, v6, sizeof(v6)) == 0);
}

enum purpose { FOR_TENANTS, FOR_API };

static void add(struct config_file *file, struct listeners *listeners, const char *text,
	struct config_at at, enum purpose purpose)
{
	struct listener listener = { .text = text, .at = at };
	struct ten_error err;

	if (config_address_parse(text, &listener.address, &err) < 0)
		return; /* a problem already */
	if (purpose == FOR_API && !is_loopback(&listener.address))
		config_problems_add(&file->problems, at,
			"api_listen: \"%.120s\" is not of this machine alone, and there is no TLS: "
			"use \"127.0.0.1:PORT\", \"[::1]:PORT\" or \"unix:/path\", and reach it by "
			"an SSH tunnel or a proxy with TLS",
			text);
	compare(file, listeners, &listener);
	if (listeners->count == CONFIG_LISTENERS_MAX)
		config_problems_add(&file->problems, at,
			"more than %d addresses cannot be listened on", CONFIG_LISTENERS_MAX);
	else
		listeners->items[listeners->count++] = listener;
}

void config_listeners_check(struct config_file *file)
{
	const struct config_value *listen = config_layer_find(&file->settings, "listen");
	const struct config_value *api = config_layer_find(&file->settings, "api_listen");
	struct listeners listeners = { .count = 0 };

	if (file->listener_count && listen) {
		config_problems_add(&file->problems, file->listener_at,
			"either listen or [[settings.listener]]: not both");
		return;
	}
	if (listen && !listen->value.list[0])
		config_problems_add(&file->problems, listen->at,
			"listen names no address: nobody could reach a tenant");
	for (size_t i = 0; listen && listen->value.list[i]; i++)
		add(file, &listeners, listen->value.list[i], listen->item_at[i], FOR_TENANTS);
	for (size_t i = 0; i < file->listener_count; i++) {
		const struct config_value *address =
			config_layer_find(&file->listeners[i], "address");

		if (address)
			add(file, &listeners, address->value.string, address->at, FOR_TENANTS);
	}
	for (size_t i = 0; api && api->value.list[i]; i++)
		add(file, &listeners, api->value.list[i], api->item_at[i], FOR_API);
}
