#include "names.h"

#include <string.h>

#include "mem.h"

static bool is_alnum_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int names_check(const char *name, struct ten_error *err)
{
	size_t len = strlen(name);

	if (!len)
		return ten_error_set(err, 0, "a name cannot be empty");
	if (len > NAMES_MAX)
		return ten_error_set(
			err, 0, "a name is at most %d letters long, this one %zu", NAMES_MAX, len);
	for (const char *at = name; *at; at++)
		if (!is_alnum_lower(*at) && *at != '-' && *at != '_')
			return ten_error_set(err, 0,
				"a name is made of a-z, 0-9, \"-\" and \"_\"%s",
				is_letter(*at) ? " (no capitals)" : "");
	if (!is_alnum_lower(name[0]) || !is_alnum_lower(name[len - 1]))
		return ten_error_set(err, 0, "a name begins and ends with a letter or a digit");
	return 0;
}

bool names_valid(const char *name)
{
	return names_check(name, NULL) == 0;
}

static int check_label(const char *label, size_t len, struct ten_error *err)
{
	if (!len)
		return ten_error_set(err, 0, "a host name has no empty part between its dots");
	if (len > 63)
		return ten_error_set(err, 0, "a part of a host name is at most 63 letters long");
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)label[i] >= 0x80)
			return ten_error_set(err, 0,
				"write letters other than a-z in a host name in their \"xn--\" "
				"form");
		if (!is_letter(label[i]) && !is_digit(label[i]) && label[i] != '-' &&
			label[i] != '_')
			return ten_error_set(err, 0,
				"a host name is made of letters, digits, \"-\" and dots%s",
				label[i] == ':'   ? " (a port does not belong to it)"
				: label[i] == '*' ? " (name each host)"
						  : "");
	}
	if (label[0] == '-' || label[len - 1] == '-')
		return ten_error_set(err, 0, "no part of a host name begins or ends with \"-\"");
	return 0;
}

int names_check_host(const char *host, struct ten_error *err)
{
	const char *label = host;

	if (!*host)
		return ten_error_set(err, 0, "a host name cannot be empty");
	if (strlen(host) > NAMES_HOST_MAX)
		return ten_error_set(
			err, 0, "a host name is at most %d letters long", NAMES_HOST_MAX);
	for (;;) {
		size_t len = strcspn(label, ".");
		if (check_label(label, len, err) < 0)
			return -1;
		if (!label[len])
			break;
		label += len + 1;
	}
	if (label[strspn(label, "0123456789")] == '\0')
		return ten_error_set(err, 0, "a host name, not an address, is wanted");
	return 0;
}

void names_host_lower(char *host)
{
	for (; *host; host++)
		if (*host >= 'A' && *host <= 'Z')
			*host = (char)(*host - 'A' + 'a');
}

bool names_host_within(const char *host, const char *domain)
{
	size_t host_len = strlen(host), domain_len = strlen(domain);

	if (host_len < domain_len || strcmp(host + host_len - domain_len, domain) != 0)
		return false;
	return host_len == domain_len || host[host_len - domain_len - 1] == '.';
}

char *names_host_make(const char *id, const char *service, const char *domain)
{
	return id ? mem_printf("%s.%s.%s", id, service, domain)
		  : mem_printf("%s.%s", service, domain);
}

static bool take_label(char out[NAMES_MAX + 1], const char *label, size_t len)
{
	if (len > NAMES_MAX)
		return false;
	memcpy(out, label, len);
	out[len] = '\0';
	return names_valid(out);
}

enum names_host names_host_split(
	const char *host, const char *domain, char id[NAMES_MAX + 1], char service[NAMES_MAX + 1])
{
	const char *dot;
	size_t len;

	id[0] = service[0] = '\0';
	if (!names_host_within(host, domain))
		return NAMES_HOST_OTHER;
	len = strlen(host) - strlen(domain);
	if (!len)
		return NAMES_HOST_ROOT;
	len--; /* the dot before the domain */
	dot = memchr(host, '.', len);
	if (!dot)
		return take_label(service, host, len) ? NAMES_HOST_SERVICE : NAMES_HOST_OTHER;
	if (!take_label(id, host, (size_t)(dot - host)) ||
		!take_label(service, dot + 1, len - (size_t)(dot + 1 - host)))
		return NAMES_HOST_OTHER;
	return NAMES_HOST_INSTANCE;
}

bool names_valid_variable(const char *name)
{
	if (!is_letter(*name) && *name != '_')
		return false;
	for (; *name; name++)
		if (!is_letter(*name) && !is_digit(*name) && *name != '_')
			return false;
	return true;
}
