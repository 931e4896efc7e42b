#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/bearer.h"
#include "cli/remote.h"
#include "cli/socket.h"
#include "cli/visible.h"
#include "http_head.h"
#include "mem.h"
#include "text.h"

#define ANSWER_MAX     (256u << 20)
#define GRACE_SECS     10 /* beyond --timeout, for the daemon to say that it is over */
#define PROGRESS_AFTER 0.4
#define LINK_HEAD_MAX  16384
#define ERROR_SHOWN    4000 /* bytes */

/* One request on its way. */
struct call {
	struct cli *cli;
	CURL *curl;
	bool is_remote; /* by a URL; else by the socket */
	struct remote remote;
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

/* What something in between shows to people, be it with status 200. */
static bool is_page(const struct call *call)
{
	const char *type = NULL;

	if (!call->is_remote)
		return false;
	curl_easy_getinfo(call->curl, CURLINFO_CONTENT_TYPE, &type);
	return type && strncasecmp(type, "text/html", 9) == 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	struct call *call = user;
	long status = 0;

	text_add(&call->answer, data, size * count);
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (call->visit && status == 200 && !is_page(call))
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
	server_clear(&call->remote.server);
	text_free(&call->answer);
}
#define autocall __attribute__((cleanup(call_end)))

/* Find the daemon, or the exit code and why not said. */
static int find_daemon(struct call *call, struct cli *cli)
{
	struct ten_error err;

	call->is_remote = server_is_remote(cli);
	if (call->is_remote) {
		if (server_parse(cli->flags.value[FLAG_SERVER], &call->remote.server, &err) < 0)
			return cli_fail(CLI_USAGE, "%s", err.text);
		return bearer_find(cli, &call->remote.server);
	}
	if (control_socket_find(cli, &call->socket, &err) < 0)
		return cli_fail(CLI_USAGE, "%s", err.text);
	if (call->socket.code)
		return control_socket_explain(&call->socket, call->socket.code);
	return bearer_find(cli, NULL);
}

static void aim(struct call *call, const char *path)
{
	autofree char *url = mem_printf(
		"%s%s", call->is_remote ? call->remote.server.base : "http://localhost", path);

	curl_easy_setopt(call->curl, CURLOPT_URL, url);
	if (call->is_remote) {
		call->remote.places = call->cli->token_places;
		remote_prepare(&call->remote, call->curl);
	} else {
		curl_easy_setopt(call->curl, CURLOPT_UNIX_SOCKET_PATH, call->socket.address);
		curl_easy_setopt(call->curl, CURLOPT_PROXY, "");
	}
}

static int call_begin(struct call *call, struct cli *cli, const char *path)
{
	int code;

	call->cli = cli;
	clock_gettime(CLOCK_MONOTONIC, &call->begun);
	code = find_daemon(call, cli);
	if (code)
		return code;
	call->curl = curl_easy_init();
	if (!call->curl)
		return cli_fail(CLI_FAILED, "libcurl cannot be used");
	aim(call, path);
	curl_easy_setopt(call->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(call->curl, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(call->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(call->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(call->curl, CURLOPT_XFERINFODATA, call);
	call->headers = curl_slist_append(call->headers, "Expect:");
	call->headers = curl_slist_append(call->headers, "Connection: close");
	if (cli->token) {
		autofree char *header = mem_printf("Authorization: Bearer %s", cli->token);

		call->headers = curl_slist_append(call->headers, header);
	}
	return CLI_DONE;
}

/* What to do about a refusal, where there is something. */
static void advise(const struct call *call, long status, const char *text)
{
	const struct cli *cli = call->cli;
	curl_off_t seconds = 0;

	if (status == 401 && !cli->token) {
		cli_note("a token is shown by TENEMENT_TOKEN or --token @FILE; `ten token-gen` on "
			 "the server makes one");
	} else if (status == 401) {
		cli_note("%s was shown: it is wrong, or was revoked, or its time is over; "
			 "`ten tokens` on the server lists those that hold",
			cli->token_from);
	} else if (status == 404 && strstr(text, "this tenement knows no")) {
		cli_note("it may be older than this ten, which is " TEN_VERSION);
	} else if (status == 429) {
		curl_easy_getinfo(call->curl, CURLINFO_RETRY_AFTER, &seconds);
		if (seconds > 0)
			cli_note("try again in %" CURL_FORMAT_CURL_OFF_T " s", seconds);
	}
}

/* What a tenant wrote before it failed. */
static void show_log(const json_t *json)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (answer_list(json, "log"), i, entry) {
		autofree char *line = visible_line(answer_text(entry, "message"));

		cli_note("  %s", line);
	}
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
	else if (status == 502 || status == 503)
		code = CLI_UNREACHABLE;
	if (!*text && call->is_remote)
		return remote_explain_stranger(&call->remote, call->curl, status);
	if (!*text)
		return cli_fail(code, "the daemon answered with status %ld", status);
	cli_fail(code, "%.*s", ERROR_SHOWN, text);
	show_log(json);
	advise(call, status, text);
	return code;
}

static int explain_failure(const struct call *call, CURLcode failed, const char *reason)
{
	long os_error = 0;

	if (call->too_long)
		return cli_fail(CLI_FAILED, "the daemon's answer is too long");
	if (call->is_remote)
		return remote_explain(&call->remote, call->curl, failed, reason);
	curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &os_error);
	if (failed == CURLE_COULDNT_CONNECT)
		return control_socket_explain(
			&call->socket, os_error ? (int)os_error : ECONNREFUSED);
	if (failed == CURLE_OPERATION_TIMEDOUT)
		return cli_fail(CLI_TIMED_OUT, "the daemon did not answer in time");
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
	if (is_page(call))
		return remote_explain_stranger(&call->remote, call->curl, status);
	return CLI_DONE;
}

/* The answer as JSON, NULL where it is none. What comes from elsewhere is somebody's data before it
 * is an answer: nothing in it steers a terminal. */
static json_t *read_answer(const struct call *call, json_error_t *wrong)
{
	const struct text *text = &call->answer;
	json_t *json = text->len ? json_loadb(text->data, text->len, 0, wrong) : NULL;

	if (json && call->is_remote && !call->cli->json)
		answer_make_harmless(json);
	return json;
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
	if (!call.answer.len) {
		*answer = json_object(); /* 204 */
		return CLI_DONE;
	}
	*answer = read_answer(&call, &wrong);
	if (!*answer && call.is_remote)
		return remote_explain_stranger(&call.remote, call.curl, 200);
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

	if ((!server_is_remote(cli) && !client_reachable(cli)) ||
		call_begin(&call, cli, path) != CLI_DONE)
		return NULL;
	curl_easy_setopt(call.curl, CURLOPT_HTTPHEADER, call.headers);
	curl_easy_setopt(call.curl, CURLOPT_TIMEOUT, cli->timeout_secs + GRACE_SECS);
	if (curl_easy_perform(call.curl) != CURLE_OK ||
		curl_easy_getinfo(call.curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
		status != 200)
		return NULL;
	return read_answer(&call, NULL);
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

/* ---- what is no HTTP any more ---- */

struct client_link {
	struct call call;
};

int client_link_fd(const struct client_link *link)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	curl_easy_getinfo(link->call.curl, CURLINFO_ACTIVESOCKET, &fd);
	return fd;
}

static ssize_t result_of(CURLcode failed, size_t len)
{
	if (!failed)
		return (ssize_t)len;
	errno = failed == CURLE_AGAIN ? EAGAIN : ECONNRESET;
	return -1;
}

ssize_t client_link_send(struct client_link *link, const char *bytes, size_t len)
{
	size_t sent = 0;
	CURLcode failed = curl_easy_send(link->call.curl, bytes, len, &sent);

	return result_of(failed, sent);
}

ssize_t client_link_receive(struct client_link *link, char *bytes, size_t size)
{
	size_t came = 0;
	CURLcode failed = curl_easy_recv(link->call.curl, bytes, size, &came);

	return result_of(failed, came);
}

void client_link_free(struct client_link *link)
{
	if (!link)
		return;
	call_end(&link->call);
	free(link);
}

/* Until it can be read (or written), or the time is up. */
static bool wait_for_link(const struct client_link *link, short events)
{
	double left = CLI_TIMEOUT_SECS + GRACE_SECS - elapsed(&link->call);
	struct pollfd wait = { client_link_fd(link), events, 0 };

	return left > 0 && (poll(&wait, 1, (int)(left * 1000)) > 0 || errno == EINTR);
}

static CURLcode send_head(struct client_link *link, const char *path, const char *protocol)
{
	const struct cli *cli = link->call.cli;
	autofree char *url = mem_printf("%s%s", link->call.remote.server.base, path);
	const char *authority = strstr(url, "://") + 3, *rest = strchr(authority, '/');
	autotext struct text head = { 0 };
	size_t sent = 0;

	text_printf(&head,
		"POST %s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: ten/" TEN_VERSION
		"\r\nConnection: Upgrade\r\nUpgrade: %s\r\n",
		rest, (int)(rest - authority), authority, protocol);
	if (cli->token)
		text_printf(&head, "Authorization: Bearer %s\r\n", cli->token);
	text_puts(&head, "\r\n");
	while (sent < head.len) {
		ssize_t len = client_link_send(link, head.data + sent, head.len - sent);

		if (len < 0 && errno != EAGAIN)
			return CURLE_SEND_ERROR;
		if (len < 0 && !wait_for_link(link, POLLOUT))
			return CURLE_OPERATION_TIMEDOUT;
		if (len > 0)
			sent += (size_t)len;
	}
	return CURLE_OK;
}

/* The head of the answer and, of a refusal, its body. *STATUS 0: it is none. */
static CURLcode read_refusal(struct client_link *link, struct text *came, int *status)
{
	autofree struct http_head *head = mem_alloc(sizeof(*head));
	char bytes[4096];
	int head_len = 0;

	*status = 0;
	http_head_init(head, HTTP_RESPONSE, LINK_HEAD_MAX, 100);
	for (;;) {
		ssize_t len;

		if (!head_len && came->len)
			head_len = http_head_parse(head, came->data, came->len);
		if (head_len < 0)
			return CURLE_OK;
		if (head_len && (head->status == 101 || came->len > LINK_HEAD_MAX * 2 ||
					came->len - (size_t)head_len >= head->content_length))
			break;
		len = client_link_receive(link, bytes, sizeof(bytes));
		if (len == 0 && head_len)
			break;
		if (len == 0 || (len < 0 && errno != EAGAIN))
			return CURLE_RECV_ERROR;
		if (len < 0 && !wait_for_link(link, POLLIN))
			return CURLE_OPERATION_TIMEDOUT;
		if (len > 0)
			text_add(came, bytes, (size_t)len);
	}
	*status = head->status;
	came->len -= (size_t)head_len;
	memmove(came->data, came->data + head_len, came->len);
	return CURLE_OK;
}

struct client_link *client_upgrade(
	struct cli *cli, const char *path, const char *protocol, struct text *begun, int *code)
{
	struct client_link *link = mem_alloc(sizeof(*link));
	struct call *call = &link->call;
	char reason[CURL_ERROR_SIZE] = "";
	CURLcode failed;
	int status = 0;

	call->cli = cli;
	call->socket.folder = -1;
	*code = call_begin(call, cli, path);
	if (*code) {
		client_link_free(link);
		return NULL;
	}
	curl_easy_setopt(call->curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, reason);
	failed = curl_easy_perform(call->curl);
	if (!failed)
		failed = send_head(link, path, protocol);
	if (!failed)
		failed = read_refusal(link, &call->answer, &status);
	curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, NULL);
	term_progress_clear(&cli->term);
	if (!failed && status == 101) {
		text_add(begun, call->answer.data, call->answer.len);
		return link;
	}
	if (failed)
		*code = explain_failure(
			call, failed, *reason ? reason : curl_easy_strerror(failed));
	else
		*code = explain_status(call, status);
	client_link_free(link);
	return NULL;
}

bool client_reachable(struct cli *cli)
{
	autosocket struct control_socket sock = { .folder = -1 };
	struct ten_error err;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd = -1;

	if (server_is_remote(cli))
		return remote_answers(cli->flags.value[FLAG_SERVER]);
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
