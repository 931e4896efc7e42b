#include "cli/remote.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/commands.h"
#include "mem.h"

#define CONNECT_SECS 10L
#define TYPE_SHOWN   80

static bool is_loopback(const struct curl_sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)&address->addr;
	const struct sockaddr_in6 *v6 = (const void *)&address->addr;

	if (address->family == AF_INET)
		return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
	return address->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Whether ADDRESS is one of PLACES, or of that family where a place is all addresses of it. */
static bool is_among(const struct curl_sockaddr *address, char *const *places)
{
	bool v6 = address->family == AF_INET6;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	autofree char *exact = NULL;
	autofree char *any = NULL;

	if (getnameinfo(&address->addr, address->addrlen, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	exact = v6 ? mem_printf("[%s]:%s", host, port) : mem_printf("%s:%s", host, port);
	any = mem_printf("%s:%s", v6 ? "[::]" : "0.0.0.0", port);
	for (; *places; places++) {
		if (strcmp(*places, exact) == 0 || strcmp(*places, any) == 0)
			return true;
	}
	return false;
}

/* The address that a name has led to is what counts. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct remote *remote = data;

	(void)purpose;
	if (!remote->server.encrypted && !is_loopback(address)) {
		remote->in_clear = true;
		return CURL_SOCKET_BAD;
	}
	if (remote->places && !is_among(address, remote->places)) {
		remote->misplaced = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void remote_prepare(struct remote *remote, CURL *curl)
{
	const char *authorities = getenv("SSL_CERT_FILE");

	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, remote);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECS);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "ten/" TEN_VERSION);
	/* A proxy of the environment carries what is encrypted, and never sees the token. */
	if (!remote->server.encrypted)
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (authorities && *authorities)
		curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
}

static size_t discard(char *data, size_t size, size_t count, void *user)
{
	(void)data, (void)user;
	return size * count;
}

bool remote_answers(const char *server)
{
	struct remote remote = { 0 };
	autofree char *url = NULL;
	CURL *curl = NULL;
	struct ten_error err;
	bool answers = false;

	if (server_parse(server, &remote.server, &err) == 0)
		curl = curl_easy_init();
	if (curl) {
		url = mem_printf("%s/health", remote.server.base);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, CONNECT_SECS);
		remote_prepare(&remote, curl);
		answers = curl_easy_perform(curl) == CURLE_OK;
		curl_easy_cleanup(curl);
	}
	server_clear(&remote.server);
	return answers;
}

static int explain_in_clear(const struct remote *remote)
{
	cli_fail(CLI_USAGE,
		"%s: plain http to another machine would show the token to the network between; "
		"nothing was sent",
		remote->server.base);
	cli_note("write https://, or make a way through ssh and name its end here: "
		 "ssh -L 8080:127.0.0.1:8080 HOST, then --server http://127.0.0.1:8080");
	return CLI_USAGE;
}

static int explain_unconnected(const struct remote *remote, CURL *curl, const char *reason)
{
	long code = 0;

	if (remote->in_clear)
		return explain_in_clear(remote);
	if (remote->misplaced)
		return cli_fail(CLI_UNREACHABLE,
			"cannot connect to %s: the saved token is for %s, which is another address",
			remote->server.base, *remote->places);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &code);
	cli_fail(CLI_UNREACHABLE, "cannot connect to %s: %s", remote->server.base,
		code ? strerror((int)code) : reason);
	cli_note(code == ECONNREFUSED
			 ? "nothing listens there: is it the address and the port of a tenement "
			   "that runs?"
			 : "look at the address, and at what is between here and there");
	return CLI_UNREACHABLE;
}

static int explain_certificate(const struct remote *remote, const char *reason)
{
	cli_fail(CLI_UNREACHABLE, "%s: its certificate is not to be trusted: %s",
		remote->server.base, reason);
	cli_note("SSL_CERT_FILE names a file of other authorities to trust");
	return CLI_UNREACHABLE;
}

int remote_explain(const struct remote *remote, CURL *curl, CURLcode failed, const char *reason)
{
	const char *base = remote->server.base;
	curl_off_t connected = 0;

	curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
	switch (failed) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return cli_fail(CLI_UNREACHABLE, "%s: %s", base, reason);
	case CURLE_COULDNT_CONNECT:
		return explain_unconnected(remote, curl, reason);
	case CURLE_OPERATION_TIMEDOUT:
		if (!connected)
			return cli_fail(CLI_UNREACHABLE,
				"cannot connect to %s within %ld s: is the address right, does a "
				"firewall drop it?",
				base, CONNECT_SECS);
		return cli_fail(CLI_TIMED_OUT, "%s did not answer in time", base);
	case CURLE_PEER_FAILED_VERIFICATION:
		return explain_certificate(remote, reason);
	case CURLE_SSL_CACERT_BADFILE:
		return cli_fail(CLI_UNREACHABLE, "SSL_CERT_FILE=%s cannot be read",
			getenv("SSL_CERT_FILE"));
	case CURLE_SSL_CONNECT_ERROR:
		return cli_fail(CLI_UNREACHABLE,
			"%s: no encryption could be agreed on (%s): does it "
			"speak plain http?",
			base, reason);
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return cli_fail(
			CLI_UNREACHABLE, "%s went away before it had answered (%s)", base, reason);
	default:
		return cli_fail(CLI_UNREACHABLE, "%s: %s", base, reason);
	}
}

int remote_explain_stranger(const struct remote *remote, CURL *curl, long status)
{
	const char *base = remote->server.base;
	const char *type = NULL, *to = NULL;

	curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &to);
	if (to && status >= 300 && status <= 399)
		return cli_fail(CLI_FAILED,
			"%s sends elsewhere, to %.200s: that is not followed with a token; if it "
			"is the right place, name it by --server",
			base, to);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	cli_fail(status == 502 || status == 503 ? CLI_UNREACHABLE
		 : status == 504                ? CLI_TIMED_OUT
						: CLI_FAILED,
		"%s answered with status %ld and %.*s, which is not how tenement does", base,
		status, TYPE_SHOWN, type && *type ? type : "no type");
	cli_note(status >= 502 && status <= 504
			 ? "something between here and the daemon does not reach it"
			 : "is --server the address of a tenement, and is anything in between that "
			   "answers itself?");
	return status == 502 || status == 503 ? CLI_UNREACHABLE
	       : status == 504                ? CLI_TIMED_OUT
					      : CLI_FAILED;
}
