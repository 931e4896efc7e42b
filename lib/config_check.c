#include "config_check.h"

#include <stdbool.h>
#include <string.h>

#include "calendar.h"
#include "config_address.h"
#include "egress.h"
#include "mem.h"
#include "log_to.h"
#include "names.h"
#include "spec_template.h"
#include "spec_view.h"
#include "wake_rules.h"
#include "words.h"

static int check_host(const char *text, struct ten_error *err)
{
	return names_check_host(text, err);
}

static int check_address(const char *text, struct ten_error *err)
{
	struct config_address address;

	return config_address_parse(text, &address, err);
}

/* "": there is none. */
static int check_endpoint(const char *value, struct ten_error *err)
{
	size_t scheme = strncmp(value, "http://", 7) == 0    ? 7
			: strncmp(value, "https://", 8) == 0 ? 8
							     : 0;

	if (!*value || (scheme && value[scheme] && value[scheme] != '/' &&
			       !value[strcspn(value, " \t\n?#")]))
		return 0;
	return ten_error_set(err, 0,
		"\"%.60s\" is no URL of a collector: it begins with http:// or https://", value);
}

static int check_network(const char *text, struct ten_error *err)
{
	struct config_network network;

	return config_network_parse(text, &network, err);
}

static int check_egress(const char *text, struct ten_error *err)
{
	struct egress_rule rule;

	return egress_parse(text, &rule, err);
}

static int check_private_range(const char *text, struct ten_error *err)
{
	struct private_range range;

	return private_range_parse(text, &range, err);
}

static int check_uid_range(const char *text, struct ten_error *err)
{
	uint32_t from, to;

	return config_range_parse(text, 1, UINT32_MAX - 1, &from, &to, err);
}

static int check_port_range(const char *text, struct ten_error *err)
{
	uint32_t from, to;

	return config_range_parse(text, 1, UINT16_MAX, &from, &to, err);
}

/* The name of a user or group, or its number. */
static int check_account(const char *text, struct ten_error *err)
{
	if (!*text)
		return ten_error_set(err, 0, "a user's or group's name cannot be empty");
	if (strlen(text) > 32 || *text == '-')
		return ten_error_set(err, 0, "\"%.40s\" cannot be a user's or group's name", text);
	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at == 0x7f || strchr(":/,", *at))
			return ten_error_set(
				err, 0, "\"%.40s\" cannot be a user's or group's name", text);
	return 0;
}

static int check_health(const char *text, struct ten_error *err)
{
	if (*text && *text != '/')
		return ten_error_set(err, 0, "a health path begins with \"/\"");
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || *text == '#')
			return ten_error_set(err, 0,
				"a health path holds no blanks, no \"#\" and only ASCII: write "
				"others as %%XX");
	return 0;
}

static int check_no_wake(const char *text, struct ten_error *err)
{
	struct wake_rule rule;
	const char *pattern;

	return wake_rule_parse(text, &rule, &pattern, err);
}

static int check_command(const char *text, struct ten_error *err)
{
	char **words = words_split(text, NULL, err);
	int result = 0;

	if (!words)
		return -1;
	if (!words[0] || !*words[0])
		result = ten_error_set(err, 0, "there is no program to run in it");
	for (size_t i = 0; words[i] && result == 0; i++)
		result = spec_template_check(words[i], PLACEHOLDERS_ALL, err);
	mem_strv_free(words);
	return result;
}

static int check_template(const char *text, struct ten_error *err)
{
	return spec_template_check(text, PLACEHOLDERS_ALL, err);
}

static int check_early_template(const char *text, struct ten_error *err)
{
	return spec_template_check(text, PLACEHOLDERS_EARLY, err);
}

static int check_secret_path(const char *text, struct ten_error *err)
{
	if (!*text)
		return ten_error_set(err, 0, "a path cannot be empty");
	if (*text == '~')
		return ten_error_set(
			err, 0, "a leading \"~\" is not expanded: write the folder itself");
	return spec_template_check(text, PLACEHOLDERS_OF_SECRETS, err);
}

static int check_socket(const char *text, struct ten_error *err)
{
	static const char *const starts[] = { "/", "{runtime_dir}/", "{dir}/", "{data_dir}/" };
	size_t len = strlen(text);

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (strncmp(text, starts[i], strlen(starts[i])) != 0)
			continue;
		if (text[len - 1] == '/')
			return ten_error_set(err, 0, "a socket's path does not end with \"/\"");
		return spec_template_check(text, PLACEHOLDERS_EARLY, err);
	}
	return ten_error_set(err, 0,
		"a socket's path is absolute: it begins with \"/\", {runtime_dir}, {dir} or "
		"{data_dir}");
}

static int check_zone(const struct calendar_rule *rule, struct ten_error *err)
{
	if (calendar_zone_known(rule->zone))
		return 0;
	return ten_error_set(err, 0,
		"there is no time zone \"%s\" in this machine's database (package tzdata)",
		rule->zone);
}

static int check_window(const char *text, struct ten_error *err)
{
	struct calendar_rule rule;

	return calendar_read_window(text, &rule, err) < 0 ? -1 : check_zone(&rule, err);
}

static int check_moment(const char *text, struct ten_error *err)
{
	struct calendar_rule rule;

	return calendar_read_moment(text, &rule, err) < 0 ? -1 : check_zone(&rule, err);
}

static const struct {
	enum option_scope scope;
	const char *name;
	int (*check)(const char *text, struct ten_error *err);
} checks[] = {
	{ OPTION_SETTING, "domain", check_host },
	{ OPTION_SETTING, "listen", check_address },
	{ OPTION_SETTING, "api_listen", check_address },
	{ OPTION_SETTING, "proxy_user", check_account },
	{ OPTION_SETTING, "admin_group", check_account },
	{ OPTION_SETTING, "uid_range", check_uid_range },
	{ OPTION_SETTING, "port_range", check_port_range },
	{ OPTION_SETTING, "private_range", check_private_range },
	{ OPTION_SETTING, "trusted_proxies", check_network },
	{ OPTION_SETTING, "otlp_endpoint", check_endpoint },
	{ OPTION_LISTENER, "address", check_address },
	{ OPTION_SERVICE, "command", check_command },
	{ OPTION_SERVICE, "args", check_template },
	{ OPTION_SERVICE, "workdir", check_early_template },
	{ OPTION_SERVICE, "health", check_health },
	{ OPTION_SERVICE, "no_wake", check_no_wake },
	{ OPTION_SERVICE, "socket", check_socket },
	{ OPTION_SERVICE, "user", check_account },
	{ OPTION_SERVICE, "rootfs", check_early_template },
	{ OPTION_SERVICE, "read_only_paths", spec_view_check_path },
	{ OPTION_SERVICE, "read_write_paths", spec_view_check_path },
	{ OPTION_SERVICE, "hide_paths", spec_view_check_path },
	{ OPTION_SERVICE, "env_file", check_secret_path },
	{ OPTION_SERVICE, "awake", check_window },
	{ OPTION_SERVICE, "wake_at", check_moment },
	{ OPTION_SERVICE, "egress_allow", check_egress },
	{ OPTION_SERVICE, "log_to", log_to_check },
	{ OPTION_TENANT, "service", names_check },
	{ OPTION_TENANT, "id", names_check },
	{ OPTION_TENANT, "domains", check_host },
};

int config_check_text(const struct option *option, const char *text, struct ten_error *err)
{
	if (option->type == OPTION_PATH && !*text)
		return ten_error_set(err, 0, "%s: a path cannot be empty", option->name);
	if (option->type == OPTION_PATH && *text == '~')
		return ten_error_set(err, 0,
			"%s: a leading \"~\" is not expanded: write the folder itself",
			option->name);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (checks[i].scope != option->scope || strcmp(checks[i].name, option->name) != 0)
			continue;
		if (checks[i].check(text, err) < 0)
			return ten_error_wrap(err, "%s", option->name);
	}
	return 0;
}

int config_check_count(const struct option *option, size_t count, struct ten_error *err)
{
	if (strcmp(option->name, "credentials") == 0 && count > OPTION_PATHS_MAX)
		return ten_error_set(err, 0, "credentials: %zu files, %zu are possible", count,
			OPTION_PATHS_MAX);
	if (strcmp(option->name, "no_wake") != 0 || count <= WAKE_RULES_MAX)
		return 0;
	return ten_error_set(err, 0, "no_wake: %zu rules, %d are possible", count, WAKE_RULES_MAX);
}

bool config_check_reserved(const char *name)
{
	static const char *const reserved[] = { "PORT", "SOCKET_PATH", "TENANT_ID", "NOTIFY_SOCKET",
		"TENEMENT_HOLD", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
		"CREDENTIALS_DIRECTORY" };

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

static int check_variable(const char *name, const char *value, struct ten_error *err)
{
	if (!names_valid_variable(name))
		return ten_error_set(err, 0,
			"\"%.60s\" cannot be a variable: its name is made of letters, digits and "
			"\"_\", and begins with no digit",
			name);
	if (config_check_reserved(name))
		return ten_error_set(err, 0, "%s is set by tenement itself", name);
	if (check_template(value, err) < 0)
		return ten_error_wrap(err, "%.60s", name);
	return 0;
}

static int check_error_page(const char *name, const char *value, struct ten_error *err)
{
	if (strlen(name) != 3 || (name[0] != '4' && name[0] != '5') ||
		strspn(name, "0123456789") != 3)
		return ten_error_set(err, 0,
			"error_pages: \"%.60s\" is no status of an error: 400 to 599", name);
	if (!*value || *value == '~')
		return ten_error_set(err, 0, "error_pages: %s wants the path of a file", name);
	return 0;
}

static int check_credential(const char *name, const char *value, struct ten_error *err)
{
	static const char *const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789._-";

	if (!*name || *name == '.' || strlen(name) > 255 ||
		strspn(name, characters) != strlen(name))
		return ten_error_set(err, 0,
			"credentials: \"%.60s\" cannot be a file's name here: letters, digits, "
			"\".\", \"_\" and \"-\", with no \".\" first",
			name);
	if (check_secret_path(value, err) < 0)
		return ten_error_wrap(err, "credentials: %.60s", name);
	return 0;
}

int config_check_pair(
	const struct option *option, const char *name, const char *value, struct ten_error *err)
{
	if (strcmp(option->name, "env") == 0)
		return check_variable(name, value, err);
	if (strcmp(option->name, "error_pages") == 0)
		return check_error_page(name, value, err);
	return check_credential(name, value, err);
}

const char *const config_check_own_paths[] = {
	"/health",
	"/metrics",
	"/dashboard",
	"/api/audit",
	"/api/config",
	"/api/deploy",
	"/api/events",
	"/api/history",
	"/api/instances",
	"/api/logs",
	"/api/openapi.json",
	"/api/overrides",
	"/api/pause",
	"/api/route",
	"/api/routes",
	"/api/services",
	"/api/session",
	"/api/status",
	"/api/telemetry",
	"/api/tls",
	"/api/tokens",
	"/api/top",
	"/api/undo",
	"/api/unpause",
	"/api/upgrade",
	"/api/usage",
	"/.well-known/acme-challenge",
	NULL,
};

int config_check_route_path(const char *path, struct ten_error *err)
{
	const char *const *own = config_check_own_paths;
	size_t len = strlen(path);

	if (len < 2 || *path != '/')
		return ten_error_set(err, 0,
			"\"%.60s\" is no path: it begins with \"/\", and \"/\" alone is `default`",
			path);
	if (path[len - 1] == '/')
		return ten_error_set(err, 0,
			"\"%.60s\": leave out the \"/\" at the end, all below the path is meant "
			"too",
			path);
	for (const char *at = path; *at; at++)
		if (*at <= ' ' || *at >= 0x7f || strchr("?#%", *at) ||
			(*at == '/' && (at[1] == '/' || at[1] == '.')))
			if (strncmp(at, "/.well-known", 12) != 0)
				return ten_error_set(err, 0,
					"\"%.60s\" is no plain path: letters, digits and single "
					"\"/\"",
					path);
	for (size_t i = 0; own[i]; i++) {
		size_t own_len = strlen(own[i]);
		if (strncmp(path, own[i], own_len) == 0 && (path[own_len] == '/' || !path[own_len]))
			return ten_error_set(err, 0,
				"\"%.60s\" collides with a path of tenement's own (%s)", path,
				own[i]);
	}
	return 0;
}
