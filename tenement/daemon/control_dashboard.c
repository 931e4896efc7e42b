/* The dashboard's files, which are compiled in: anybody may have them, what they show needs a
 * session. */
#include <string.h>

#include "daemon/dashboard_files.h"
#include "daemon/endpoints.h"
#include "text.h"

/* Nothing but our own files is run or shown, nothing of it within another's page, and nothing is
 * sent elsewhere. */
static const char *const headers[] = {
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
	"img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
	"form-action 'self'",
	"Referrer-Policy: no-referrer",
	"Cross-Origin-Opener-Policy: same-origin",
	"Cross-Origin-Resource-Policy: same-origin",
	"X-Frame-Options: DENY",
	"Permissions-Policy: camera=(), geolocation=(), microphone=()",
};

static const struct dashboard_file *find(const char *name)
{
	for (size_t i = 0; i < dashboard_file_count; i++)
		if (strcmp(dashboard_files[i].name, name) == 0)
			return &dashboard_files[i];
	return NULL;
}

/* Whether gzip is among what the browser takes: browsers say so in plain words. */
static bool takes_gzip(const struct control_call *call)
{
	char accepted[256] = "";

	return control_header(call, "accept-encoding", accepted, sizeof(accepted)) &&
	       strstr(accepted, "gzip") && !strstr(accepted, "gzip;q=0");
}

static bool is_known_there(const struct control_call *call, const struct dashboard_file *file)
{
	char tags[256] = "";

	return control_header(call, "if-none-match", tags, sizeof(tags)) &&
	       strstr(tags, file->etag) != NULL;
}

static void send_file(struct control_call *call, const struct dashboard_file *file)
{
	bool packed = file->packed_len && takes_gzip(call);
	struct text body = {
		.data = (char *)(packed ? file->packed : file->data),
		.len = packed ? file->packed_len : file->len,
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		control_add_header(call, "%s", headers[i]);
	control_add_header(call, "Cache-Control: no-cache");
	control_add_header(call, "ETag: %s", file->etag);
	control_add_header(call, "Vary: Accept-Encoding");
	if (is_known_there(call, file)) {
		control_answer_empty(call, 304);
		return;
	}
	if (packed)
		control_add_header(call, "Content-Encoding: gzip");
	control_answer_text(call, file->type, &body);
}

void control_dashboard_file(struct control_call *call)
{
	const struct dashboard_file *file = find(call->name);

	if (file)
		send_file(call, file);
	else
		control_refuse(call, 404, "the dashboard has no %s", call->name);
}

void control_dashboard(struct control_call *call)
{
	send_file(call, find("index.html"));
}

void control_dashboard_redirect(struct control_call *call)
{
	control_add_header(call, "Location: /dashboard/");
	control_answer_empty(call, 303);
}
