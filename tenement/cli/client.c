#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/socket.h"
#include "mem.h"
#include "text.h"

#define ANSWER_MAX     (256u << 20)
#define GRACE_SECS     10 /* beyond --timeout, for the daemon to say that it is over */
#define PROGRESS_AFTER 0.4

/* One request on its way. */
struct call {
	struct cli *cli;
	CURL *curl;
	struct control_socket socket;
	struct curl_slist *headers;
	struct text answer;
	const char *waiting;
	struct timespec begun;
	bool too_long;
	void (*visit)(
		void *data, const char *line, size_t len); /* NULL: the whole answer is kept */
	void *visit_data;
};

static double elapsed(const struct call *call)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - call->begun.tv_sec) +
	       (double)(now.tv_nsec - call->begun.tv_nsec) / 1e9;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct call *call = data;
	double secs = elapsed(call);

	(void)a, (void)b, (void)c, (void)d;
	if (secs >= PROGRESS_AFTER)
		term_progress(&call->cli->term, call->waiting, secs);
	return 0;
}

static void give_lines(struct call *call)
{
	char *begin = call->answer.data, *end = begin + call->answer.len, *newline;

	while (begin < end && (newline = memchr(begin, '\n', (size_t)(end - begin)))) {
		call->visit(call->visit_data, begin, (size_t)(newline - begin));
		begin = newline + 1;
	}
	memmove(call->answer.data, begin, (size_t)(end - begin));
	call->answer.len = (size_t)(end - begin);
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	struct call *call = user;
	long status = 0;

	text_add(&call->answer, data, size * count);
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (call->visit && status == 200)
		give_lines(call);
	if (call->answer.len > ANSWER_MAX) {
		call->too_long = true;
		return 0;
	}
	return size * count;
}

static void call_end(struct call *call)
{
	term_progress_clear(&call->cli->term);
	curl_slist_free_all(call->headers);
	if (call->curl)
		curl_easy_cleanup(call->curl);
	control_socket_free(&call->socket);
	text_free(&call->answer);
}
#define autocall __attribute__((cleanup(call_end)))

static int call_begin(struct call *call, struct cli *cli, const char *path)
{
	struct ten_error err;
	autofree char *url = mem_printf("http://localhost%s", path);
	const char *token = cli->flags.value[FLAG_TOKEN];

	call->cli = cli;
	clock_gettime(CLOCK_MONOTONIC, &call->begun);
	if (control_socket_find(cli, &call->socket, &err) < 0)
		return cli_fail(CLI_USAGE, "%s", err.text);
	if (call->socket.code)
		return control_socket_explain(&call->socket, call->socket.code);
	call->curl = curl_easy_init();
	if (!call->curl)
		return cli_fail(CLI_FAILED, "libcurl cannot be used");
	curl_easy_setopt(call->curl, CURLOPT_URL, url);
	curl_easy_setopt(call->curl, CURLOPT_UNIX_SOCKET_PATH, call->socket.address);
	curl_easy_setopt(call->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(call->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(call->curl, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(call->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(call->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(call->curl, CURLOPT_XFERINFODATA, call);
	call->headers = curl_slist_append(call->headers, "Expect:");
	call->headers = curl_slist_append(call->headers, "Connection: close");
	if (token) {
		autofree char *header = mem_printf("Authorization: Bearer %s", token);

		if (strpbrk(token, "\r\n"))
			return cli_fail(CLI_USAGE, "--token: not a token");
		call->headers = curl_slist_append(call->headers, header);
	}
	return CLI_DONE;
}

/* An answer that is an error: its text for people, and what it means for the exit code. */
static int explain_status(const struct call *call, long status)
{
	autojson json_t *json =
		json_loadb(call->answer.data ? call->answer.data : "", call->answer.len, 0, NULL);
	const char *text = answer_text(json, "error");
	enum cli_exit code = CLI_FAILED;

	if (status == 409)
		code = CLI_CONFLICT;
	else if (status == 408 || status == 504)
		code = CLI_TIMED_OUT;
	else if (status == 503)
		code = CLI_UNREACHABLE;
	if (!*text)
		return cli_fail(code, "the daemon answered with status %ld", status);
	return cli_fail(code, "%s", text);
}

static int explain_failure(const struct call *call, CURLcode failed, const char *reason)
{
	long os_error = 0;

	curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &os_error);
	if (failed == CURLE_COULDNT_CONNECT)
		return control_socket_explain(
			&call->socket, os_error ? (int)os_error : ECONNREFUSED);
	if (failed == CURLE_OPERATION_TIMEDOUT)
		return cli_fail(CLI_TIMED_OUT, "the daemon did not answer in time");
	if (call->too_long)
		return cli_fail(CLI_FAILED, "the daemon's answer is too long");
	if (failed == CURLE_GOT_NOTHING || failed == CURLE_RECV_ERROR ||
		failed == CURLE_SEND_ERROR || failed == CURLE_PARTIAL_FILE)
		return cli_fail(CLI_UNREACHABLE, "the daemon went away before it had answered (%s)",
			reason);
	return cli_fail(CLI_UNREACHABLE, "%s: %s", call->socket.path, reason);
}

static int perform(struct call *call)
{
	char reason[CURL_ERROR_SIZE] = "";
	CURLcode failed;
	long status = 0;

	curl_easy_setopt(call->curl, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, reason);
	failed = curl_easy_perform(call->curl);
	curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, NULL);
	term_progress_clear(&call->cli->term);
	if (failed)
		return explain_failure(call, failed, *reason ? reason : curl_easy_strerror(failed));
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return explain_status(call, status);
	return CLI_DONE;
}

static int add_body(struct call *call, json_t *body, char **text)
{
	*text = json_dumps(body, JSON_COMPACT);
	if (!*text)
		return cli_fail(CLI_FAILED, "what is to be sent is not UTF-8");
	if (strlen(*text) > CLIENT_BODY_MAX)
		return cli_fail(CLI_FAILED, "more than %u MiB at once: apply fewer files at a time",
			CLIENT_BODY_MAX >> 20);
	call->headers = curl_slist_append(call->headers, "Content-Type: application/json");
	curl_easy_setopt(call->curl, CURLOPT_POSTFIELDS, *text);
	curl_easy_setopt(call->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(*text));
	return CLI_DONE;
}

int client_ask(struct cli *cli, const struct client_request *request, json_t **answer)
{
	autocall struct call call = { .cli = cli, .socket.folder = -1 };
	autojson json_t *body = request->body;
	autofree char *text = NULL;
	json_error_t wrong;
	int code = call_begin(&call, cli, request->path);

	*answer = NULL;
	if (code)
		return code;
	call.waiting = request->waiting;
	if (!body && request->method && strcmp(request->method, "DELETE") != 0)
		body = json_object();
	curl_easy_setopt(call.curl, CURLOPT_TIMEOUT,
		(request->waits ? cli->timeout_secs : CLI_TIMEOUT_SECS) + GRACE_SECS);
	if (body) {
		code = add_body(&call, body, &text);
		if (code)
			return code;
	}
	if (request->method)
		curl_easy_setopt(call.curl, CURLOPT_CUSTOMREQUEST, request->method);
	code = perform(&call);
	if (code)
		return code;
	*answer = json_loadb(call.answer.data ? call.answer.data : "", call.answer.len, 0, &wrong);
	if (!*answer)
		return cli_fail(CLI_FAILED, "the daemon's answer is not JSON: %s", wrong.text);
	return CLI_DONE;
}

int client_get(struct cli *cli, const char *path, json_t **answer)
{
	struct client_request request = { .path = path };

	return client_ask(cli, &request, answer);
}

json_t *client_peek(struct cli *cli, const char *path)
{
	autocall struct call call = { .cli = cli, .socket.folder = -1 };
	long status = 0;

	if (!client_reachable(cli) || call_begin(&call, cli, path) != CLI_DONE)
		return NULL;
	curl_easy_setopt(call.curl, CURLOPT_HTTPHEADER, call.headers);
	curl_easy_setopt(call.curl, CURLOPT_TIMEOUT, cli->timeout_secs + GRACE_SECS);
	if (curl_easy_perform(call.curl) != CURLE_OK ||
		curl_easy_getinfo(call.curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
		status != 200)
		return NULL;
	return json_loadb(call.answer.data ? call.answer.data : "", call.answer.len, 0, NULL);
}

int client_stream(struct cli *cli, const char *path,
	void (*visit)(void *data, const char *line, size_t len), void *data)
{
	autocall struct call call = { .cli = cli, .socket.folder = -1 };
	int code = call_begin(&call, cli, path);

	if (code)
		return code;
	call.visit = visit;
	call.visit_data = data;
	code = perform(&call);
	if (code == CLI_DONE && call.answer.len)
		visit(data, call.answer.data, call.answer.len);
	return code;
}

bool client_reachable(struct cli *cli)
{
	autosocket struct control_socket sock = { .folder = -1 };
	struct ten_error err;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd = -1;

	if (control_socket_find(cli, &sock, &err) < 0 || sock.code)
		return false;
	memcpy(address.sun_path, sock.address, strnlen(sock.address, sizeof(address.sun_path) - 1));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

char *client_escape(const char *text)
{
	struct text out = { 0 };

	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			(byte >= '0' && byte <= '9') || strchr("-._~:", byte))
			text_add(&out, text, 1);
		else
			text_printf(&out, "%%%02X", byte);
	}
	return text_steal(&out);
}

char *client_instance_path(const char *target, const char *rest)
{
	autofree char *escaped = client_escape(target);

	return mem_printf("/api/instances/%s%s", escaped, rest);
}
