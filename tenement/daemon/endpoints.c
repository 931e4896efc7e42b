#include "daemon/endpoints.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_connection.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "mem.h"

#define COMPONENT_MAX 512

/* clang-format off */
const struct endpoint endpoints[] = {
	{ HTTP_METHOD_GET,    "/health",                              RIGHT_OPEN,    control_health, BODY_JSON },
	{ HTTP_METHOD_GET,    "/metrics",                             RIGHT_METRICS, control_metrics, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/openapi.json",                    RIGHT_OPEN,    control_openapi, BODY_JSON },
	{ HTTP_METHOD_GET,    "/",                                    RIGHT_OPEN,    control_dashboard_redirect, BODY_JSON },
	{ HTTP_METHOD_GET,    "/dashboard",                           RIGHT_OPEN,    control_dashboard_redirect, BODY_JSON },
	{ HTTP_METHOD_GET,    "/dashboard/",                          RIGHT_OPEN,    control_dashboard, BODY_JSON },
	{ HTTP_METHOD_GET,    "/dashboard/{file}",                    RIGHT_OPEN,    control_dashboard_file, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/session",                         RIGHT_OPEN,    control_session_show, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/session",                         RIGHT_OPEN,    control_session_begin, BODY_JSON },
	{ HTTP_METHOD_DELETE, "/api/session",                         RIGHT_OPEN,    control_session_end, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/instances",                       RIGHT_SEE,     control_instances_list, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/spawn",                 RIGHT_ADMIN,   control_instance_spawn, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/instances/{instance}",            RIGHT_SEE,     control_instance_show, BODY_JSON },
	{ HTTP_METHOD_DELETE, "/api/instances/{instance}",            RIGHT_STEER,   control_instance_delete, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/instances/{instance}/health",     RIGHT_SEE,     control_instance_health, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/instances/{instance}/exec",       RIGHT_LOCAL,   control_instance_exec, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/exec",       RIGHT_ADMIN,   control_instance_exec_remote, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/start",      RIGHT_STEER,   control_instance_start, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/stop",       RIGHT_STEER,   control_instance_stop, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/restart",    RIGHT_STEER,   control_instance_restart, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/suspend",    RIGHT_ADMIN,   control_instance_suspend, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/resume",     RIGHT_ADMIN,   control_instance_resume, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/undeclare",  RIGHT_ADMIN,   control_instance_undeclare, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/hold",       RIGHT_STEER,   control_instance_hold, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/instances/{instance}/release",    RIGHT_STEER,   control_instance_release, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/instances/{instance}/why",        RIGHT_SEE,     control_instance_why, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/instances/{instance}/storage",    RIGHT_SEE,     control_instance_storage, BODY_JSON },
	{ HTTP_METHOD_PUT,    "/api/instances/{instance}/weight",     RIGHT_ADMIN,   control_instance_weight, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/routes",                          RIGHT_SEE_ALL, control_routes_list, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/deploy",                          RIGHT_ADMIN,   control_deploy, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/route",                           RIGHT_ADMIN,   control_route_move, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/logs",                            RIGHT_SEE,     control_logs, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/logs/stream",                     RIGHT_SEE,     control_logs_stream, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/top",                             RIGHT_SEE,     control_top, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/usage",                           RIGHT_SEE,     control_usage, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/telemetry",                       RIGHT_TELEMETRY, control_telemetry, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/tls/status",                      RIGHT_SEE,     control_tls_status, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/events",                          RIGHT_SEE,     control_events, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/status",                          RIGHT_SEE_ALL, control_status, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/upgrade",                         RIGHT_ADMIN,   control_upgrade, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/pause",                           RIGHT_ADMIN,   control_pause, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/unpause",                         RIGHT_ADMIN,   control_unpause, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/config",                          RIGHT_SEE_ALL, control_config_settings, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/config/apply",                    RIGHT_ADMIN,   control_config_apply, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/config/diff",                     RIGHT_SEE_ALL, control_config_diff, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/config/check",                    RIGHT_SEE_ALL, control_config_check, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/config/{file}",                   RIGHT_SEE_ALL, control_config_file_show, BODY_JSON },
	{ HTTP_METHOD_PUT,    "/api/config/{file}",                   RIGHT_ADMIN,   control_config_file_put, BODY_RAW },
	{ HTTP_METHOD_DELETE, "/api/config/{file}",                   RIGHT_ADMIN,   control_config_file_delete, BODY_RAW },
	{ HTTP_METHOD_GET,    "/api/history",                         RIGHT_SEE_ALL, control_history, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/undo",                            RIGHT_ADMIN,   control_undo, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/overrides",                       RIGHT_SEE_ALL, control_overrides_list, BODY_JSON },
	{ HTTP_METHOD_DELETE, "/api/overrides",                       RIGHT_ADMIN,   control_overrides_clear, BODY_JSON },
	{ HTTP_METHOD_DELETE, "/api/overrides/{target}",              RIGHT_ADMIN,   control_override_clear, BODY_JSON },

	{ HTTP_METHOD_GET,    "/api/tokens",                          RIGHT_ADMIN,   control_tokens_list, BODY_JSON },
	{ HTTP_METHOD_POST,   "/api/tokens",                          RIGHT_ADMIN,   control_token_make, BODY_JSON },
	{ HTTP_METHOD_DELETE, "/api/tokens/{token}",                  RIGHT_ADMIN,   control_token_revoke, BODY_JSON },
	{ HTTP_METHOD_GET,    "/api/audit",                           RIGHT_SEE_ALL, control_audit_list, BODY_JSON },
};
/* clang-format on */

const char *const right_names[RIGHTS] = { "open", "see", "steer", "see_all", "telemetry", "metrics",
	"admin", "local", "none" };

const size_t endpoint_count = sizeof(endpoints) / sizeof(*endpoints);

const char *endpoint_method_name(enum http_method method)
{
	static const char *const names[] = {
		[HTTP_METHOD_GET] = "GET",
		[HTTP_METHOD_HEAD] = "HEAD",
		[HTTP_METHOD_POST] = "POST",
		[HTTP_METHOD_PUT] = "PUT",
		[HTTP_METHOD_DELETE] = "DELETE",
		[HTTP_METHOD_OPTIONS] = "OPTIONS",
		[HTTP_METHOD_PATCH] = "PATCH",
	};
	size_t count = sizeof(names) / sizeof(*names);

	return (size_t)method < count && names[method] ? names[method] : "other";
}

/* LEN bytes of a path's component, percent-decoded. False: it is none, or too long. */
static bool decode(const char *from, size_t len, char out[COMPONENT_MAX])
{
	size_t to = 0;

	for (size_t at = 0; at < len; at++) {
		unsigned byte = (unsigned char)from[at];

		if (to + 1 >= COMPONENT_MAX)
			return false;
		if (byte == '%') {
			if (at + 2 >= len || !isxdigit((unsigned char)from[at + 1]) ||
				!isxdigit((unsigned char)from[at + 2]) ||
				sscanf(from + at + 1, "%2x", &byte) != 1 || !byte)
				return false;
			at += 2;
		}
		out[to++] = (char)byte;
	}
	out[to] = '\0';
	return to > 0;
}

/* What the placeholder of PATTERN is in PATH; "" where it has none. False: no match. */
static bool match(const char *pattern, const char *path, char out[COMPONENT_MAX])
{
	*out = '\0';
	while (*pattern) {
		if (*pattern == '{') {
			size_t len = strcspn(path, "/");

			if (!decode(path, len, out))
				return false;
			path += len;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*path;
}

/* Whether who asks may ask that; else it is said. */
static bool may(struct control_call *call, enum right right)
{
	const struct principal *who = &call->who;
	bool steers = right == RIGHT_STEER || right == RIGHT_ADMIN;
	bool metrics = right == RIGHT_TELEMETRY || right == RIGHT_METRICS;

	if (metrics && config_set_settings(call->d->set)->metrics_public)
		return true;
	if (right == RIGHT_OPEN || (right == RIGHT_LOCAL && who->local))
		return true;
	if (right == RIGHT_LOCAL) {
		control_refuse(
			call, 403, "%s is only for who works on the server itself", call->path);
	} else if (who->scope == SCOPE_NONE) {
		control_add_header(call, "WWW-Authenticate: Bearer realm=\"tenement\"");
		control_refuse(call, 401,
			"this needs a token: send \"Authorization: Bearer TOKEN\" (`ten token-gen` "
			"makes one)");
	} else if (steers && who->read_only) {
		control_refuse(call, 403, "%s may only read", who->name);
	} else if ((right == RIGHT_SEE_ALL || right == RIGHT_METRICS || right == RIGHT_ADMIN) &&
		   who->scope != SCOPE_ALL) {
		control_refuse(call, 403, "%s is for %s alone, and this is about more", who->name,
			who->of);
	} else {
		return true;
	}
	return false;
}

/* The instance called KEY, as far as who asks may know of it. NULL: it was refused. */
static struct instance *find_instance(struct control_call *call, const char *key)
{
	struct instance *instance = instance_find(call->d, key);
	autofree char *text = NULL;

	if (instance && instance->spec && instance->known && principal_sees(&call->who, instance))
		return instance;
	/* (who sees a part is told of others neither that they are there nor what they are called)
	 */
	if (call->who.scope != SCOPE_ALL) {
		control_refuse(call, 404, "%s sees no tenant of that name", call->who.name);
		return NULL;
	}
	text = describe_unknown(call->d, key);
	control_refuse(call, 404, "%s", text);
	return NULL;
}

static bool take_body(
	struct control_call *call, const struct endpoint *endpoint, const char *body, size_t len)
{
	json_error_t fault;

	call->raw = body;
	call->raw_len = len;
	call->body = len && endpoint->body == BODY_JSON
			     ? json_loadb(body, len, JSON_REJECT_DUPLICATES, &fault)
			     : json_object();
	if (json_is_object(call->body))
		return true;
	if (call->body)
		control_refuse(call, 400, "the body is no JSON object");
	else
		control_refuse_where(call, 400,
			json_pack("{s:i, s:i}", "line", fault.line, "column", fault.column),
			"the body is no JSON object: %s", fault.text);
	return false;
}

/* Whether the call is one that changes files and waits for what becomes of it. */
static bool writes_files(const struct control_call *call)
{
	static const char *const paths[] = { "/api/instances/spawn", "/api/config/apply",
		"/api/undo", "/api/deploy" };
	const char *verb = strrchr(call->path, '/');
	char dry_run[8] = "";

	if (strncmp(call->path, "/api/config/", strlen("/api/config/")) == 0 &&
		(call->method == HTTP_METHOD_PUT || call->method == HTTP_METHOD_DELETE))
		return !control_query(call, "dry_run", dry_run, sizeof(dry_run)) ||
		       strcmp(dry_run, "1") != 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (strcmp(call->path, paths[i]) == 0)
			return !control_flag(call, "dry_run");
	return control_flag(call, "declare") || (verb && strcmp(verb, "/undeclare") == 0);
}

static void run(struct control_call *call, const struct endpoint *endpoint, const char *component,
	const char *body, size_t len)
{
	call->connection->right = endpoint->right;
	if (!may(call, endpoint->right))
		return;
	if (strstr(endpoint->path, "{instance}")) {
		call->instance = find_instance(call, component);
		if (!call->instance)
			return;
	}
	call->name = component;
	if (!take_body(call, endpoint, body, len))
		;
	else if (call->who.scope != SCOPE_ALL && control_flag(call, "declare"))
		control_refuse(call, 403, "%s is for %s alone, and files are about more",
			call->who.name, call->who.of);
	else if (call->d->shutting_down && call->method != HTTP_METHOD_GET)
		control_refuse(call, 503, "tenement is stopping");
	else if (call->d->paused && writes_files(call))
		control_refuse(call, 422,
			"tenement is paused, and does not act on files: `ten unpause` first");
	else
		endpoint->run(call);
	json_decref(call->body);
	call->body = NULL;
}

void endpoints_dispatch(struct control_call *call, const char *body, size_t len)
{
	char component[COMPONENT_MAX], allowed[64] = "";

	for (size_t i = 0; i < endpoint_count; i++) {
		if (!match(endpoints[i].path, call->path, component))
			continue;
		if (endpoints[i].method == call->method) {
			run(call, &endpoints[i], component, body, len);
			return;
		}
		snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%s%s",
			*allowed ? ", " : "", endpoint_method_name(endpoints[i].method));
	}
	if (*allowed) {
		control_add_header(call, "Allow: %s", allowed);
		control_refuse(call, 405, "%s is asked with %s", call->path, allowed);
	} else {
		control_refuse(call, 404, "this tenement knows no %s", call->path);
	}
}
