#include "cli/server.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mem.h"

#define URL_MAX 2000

static bool is_url(const char *text)
{
	return text &&
	       (strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0);
}

bool server_is_remote(const struct cli *cli)
{
	return is_url(cli->flags.value[FLAG_SERVER]);
}

static bool is_near(const char *host)
{
	size_t len = strlen(host);
	struct in_addr address;

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	if (len > 10 && strcasecmp(host + len - 10, ".localhost") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

/* A part of the URL; the caller frees. NULL: it has none. */
static char *part_of(CURLU *url, CURLUPart part, unsigned how)
{
	char *text = NULL, *copy = NULL;

	if (curl_url_get(url, part, &text, how) == CURLUE_OK)
		copy = mem_strdup(text);
	curl_free(text);
	return copy;
}

static int take_parts(CURLU *url, const char *shown, struct server *server, struct ten_error *err)
{
	autofree char *host = part_of(url, CURLUPART_HOST, 0);
	autofree char *scheme = part_of(url, CURLUPART_SCHEME, 0);
	autofree char *whole = part_of(url, CURLUPART_URL, CURLU_NO_DEFAULT_PORT);
	autofree char *user = part_of(url, CURLUPART_USER, 0);
	autofree char *password = part_of(url, CURLUPART_PASSWORD, 0);
	autofree char *query = part_of(url, CURLUPART_QUERY, 0);
	autofree char *fragment = part_of(url, CURLUPART_FRAGMENT, 0);
	size_t len = whole ? strlen(whole) : 0;

	/* (what is before the @ may be a secret) */
	if (user || password)
		return ten_error_set(err, 0,
			"--server: no name and no password in the URL: a token is shown by "
			"TENEMENT_TOKEN or --token");
	if (query || fragment)
		return ten_error_set(err, 0, "--server %s: the URL ends with its path", shown);
	server->port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	if (!host || !scheme || !whole || !server->port)
		return ten_error_set(err, 0, "--server %s: not a URL", shown);
	while (len && whole[len - 1] == '/')
		whole[--len] = '\0';
	server->encrypted = strcmp(scheme, "https") == 0;
	server->near = is_near(host);
	server->base = mem_steal(&whole);
	return 0;
}

int server_parse(const char *text, struct server *server, struct ten_error *err)
{
	CURLU *url = curl_url();
	CURLUcode wrong;
	int result;

	*server = (struct server){ 0 };
	if (!url)
		return ten_error_set(err, 0, "libcurl cannot be used");
	wrong = strlen(text) > URL_MAX ? CURLUE_MALFORMED_INPUT
				       : curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS);
	if (wrong)
		result = ten_error_set(err, 0, "--server: not a URL: write https://HOST[:PORT]");
	else
		result = take_parts(url, text, server, err);
	curl_url_cleanup(url);
	return result;
}

void server_clear(struct server *server)
{
	free(server->base);
	free(server->port);
	*server = (struct server){ 0 };
}

int server_leave_aside(struct cli *cli, const char *what)
{
	if (!server_is_remote(cli))
		return CLI_DONE;
	if (!(cli->flags.from_env & FLAG_BIT(FLAG_SERVER)))
		return cli_usage(cli, "%s works on this machine alone, and asks no --server", what);
	cli->flags.value[FLAG_SERVER] = NULL;
	return CLI_DONE;
}
