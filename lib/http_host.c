#include "http_host.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.';
}

static bool is_port(const char *data, size_t len)
{
	unsigned port = 0;

	if (len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(data[i]))
			return false;
		port = port * 10 + (unsigned)(data[i] - '0');
	}
	return port <= 65535;
}

/* How many bytes of DATA the name takes; 0: none that is valid. */
static size_t name_length(const char *data, size_t len)
{
	size_t i = 0;

	if (len && data[0] == '[') {
		const char *end = memchr(data, ']', len);
		size_t whole = end ? (size_t)(end - data) + 1 : 0;
		return whole && http_host_is_address(data, whole) ? whole : 0;
	}
	while (i < len && is_name_char(data[i])) {
		if (data[i] == '.' && (i == 0 || data[i - 1] == '.'))
			return 0;
		i++;
	}
	return i;
}

bool http_host_split(const char *data, size_t len, struct http_text *name, struct http_text *port)
{
	size_t used = name_length(data, len);

	*name = (struct http_text){ data, used };
	*port = (struct http_text){ 0 };
	if (!used || used > HTTP_HOST_MAX + 1)
		return false;
	if (used == len)
		return true;
	if (data[used] != ':' || !is_port(data + used + 1, len - used - 1))
		return false;
	*port = (struct http_text){ data + used + 1, len - used - 1 };
	return true;
}

size_t http_host_normalize(const struct http_text *name, char out[HTTP_HOST_MAX + 1])
{
	size_t len = name->len;

	if (len && name->data[len - 1] == '.')
		len--;
	if (len > HTTP_HOST_MAX)
		len = 0;
	for (size_t i = 0; i < len; i++) {
		char c = name->data[i];
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	out[len] = '\0';
	return len;
}

bool http_host_is_address(const char *name, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];
	bool brackets = len >= 2 && name[0] == '[' && name[len - 1] == ']';

	if (brackets) {
		name++;
		len -= 2;
	}
	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	if (memchr(text, '\0', len))
		return false;
	return inet_pton(brackets ? AF_INET6 : AF_INET, text, address) == 1;
}
