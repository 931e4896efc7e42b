/*
 * All that can be asked of the management API: one row each, with who may.
 */
#ifndef TEN_ENDPOINTS_H
#define TEN_ENDPOINTS_H

#include <stddef.h>

#include "daemon/control.h"

enum right {
	RIGHT_OPEN,  /* anybody */
	RIGHT_SEE,   /* any token; who has a scope sees what is in it: by {instance}, or the handler
			looks to it */
	RIGHT_STEER, /* likewise, and not read-only */
	RIGHT_SEE_ALL,   /* no scope; read-only will do */
	RIGHT_TELEMETRY, /* as RIGHT_SEE, but with metrics_public anybody */
	RIGHT_METRICS,   /* likewise as RIGHT_SEE_ALL */
	RIGHT_ADMIN,     /* no scope, not read-only */
	RIGHT_LOCAL,     /* the control socket alone */
	RIGHT_NONE,      /* of what is no endpoint */
	RIGHTS
};
extern const char *const right_names[RIGHTS];

enum endpoint_body {
	BODY_JSON, /* an object, or nothing */
	BODY_RAW,  /* whatever it is */
};

struct endpoint {
	enum http_method method;
	const char
		*path; /* "/api/instances/{instance}/stop"; {x} is one component, {x...} the rest */
	enum right right;
	void (*run)(struct control_call *call);
	enum endpoint_body body;
};

extern const struct endpoint endpoints[];
extern const size_t endpoint_count;

/* Answers CALL, of which path, method and who are known: by the endpoint that it is for, or with
 * why not. */
void endpoints_dispatch(struct control_call *call, const char *body, size_t len);

/* The names of methods, as on the wire. */
const char *endpoint_method_name(enum http_method method);

/* ---- the handlers ---- */

void control_health(struct control_call *call);
void control_metrics(struct control_call *call);
void control_openapi(struct control_call *call);
void control_status(struct control_call *call);
void control_upgrade(struct control_call *call);
void control_top(struct control_call *call);
void control_usage(struct control_call *call);
void control_events(struct control_call *call);
void control_telemetry(struct control_call *call);
void control_tls_status(struct control_call *call);
void control_logs(struct control_call *call);
void control_logs_stream(struct control_call *call);

void control_dashboard(struct control_call *call);
void control_dashboard_file(struct control_call *call);
void control_dashboard_redirect(struct control_call *call);
void control_session_show(struct control_call *call);
void control_session_begin(struct control_call *call);
void control_session_end(struct control_call *call);

void control_instances_list(struct control_call *call);
void control_instance_spawn(struct control_call *call);
void control_instance_show(struct control_call *call);
void control_instance_exec(struct control_call *call);
void control_instance_exec_remote(struct control_call *call);
void control_instance_health(struct control_call *call);
void control_instance_delete(struct control_call *call);
void control_instance_start(struct control_call *call);
void control_instance_stop(struct control_call *call);
void control_instance_restart(struct control_call *call);
void control_instance_suspend(struct control_call *call);
void control_instance_resume(struct control_call *call);
void control_instance_undeclare(struct control_call *call);
void control_instance_hold(struct control_call *call);
void control_instance_release(struct control_call *call);
void control_instance_why(struct control_call *call);
void control_instance_storage(struct control_call *call);
void control_instance_weight(struct control_call *call);

void control_routes_list(struct control_call *call);
void control_deploy(struct control_call *call);
void control_route_move(struct control_call *call);

void control_config_settings(struct control_call *call);
void control_config_apply(struct control_call *call);
void control_config_diff(struct control_call *call);
void control_config_check(struct control_call *call);
/* Puts "files" and "problems" into JSON. */
void control_config_put_files(struct daemon *d, json_t *json);
void control_config_file_show(struct control_call *call);
void control_config_file_put(struct control_call *call);
void control_config_file_delete(struct control_call *call);
void control_overrides_list(struct control_call *call);
void control_overrides_clear(struct control_call *call);
void control_override_clear(struct control_call *call);
void control_history(struct control_call *call);
void control_undo(struct control_call *call);
void control_pause(struct control_call *call);
void control_unpause(struct control_call *call);

void control_tokens_list(struct control_call *call);
void control_token_make(struct control_call *call);
void control_token_revoke(struct control_call *call);
void control_audit_list(struct control_call *call);

#endif
