#include "mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *memory)
{
	static const char message[] = "out of memory\n";

	if (!memory) {
		ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
		(void)ignored;
		abort();
	}
	return memory;
}

void *mem_alloc(size_t bytes)
{
	return checked(calloc(1, bytes ? bytes : 1));
}

void *mem_resize(void *old, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		return checked(NULL);
	return checked(realloc(old, count && size ? count * size : 1));
}

char *mem_strdup(const char *text)
{
	return text ? checked(strdup(text)) : NULL;
}

char *mem_strndup(const char *text, size_t len)
{
	size_t used = strnlen(text, len);
	char *copy = checked(malloc(used + 1));

	/* (strndup(3) of the sanitizers looks at the byte behind, which need not be there) */
	memcpy(copy, text, used);
	copy[used] = '\0';
	return copy;
}

char *mem_vprintf(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	return checked(text);
}

char *mem_printf(const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	text = mem_vprintf(format, args);
	va_end(args);
	return text;
}

size_t mem_strv_length(char *const *list)
{
	size_t count = 0;

	while (list && list[count])
		count++;
	return count;
}

char **mem_strv_copy(char *const *list)
{
	size_t count = mem_strv_length(list);
	char **copy;

	if (!list)
		return NULL;
	copy = mem_alloc((count + 1) * sizeof(*copy));
	for (size_t i = 0; i < count; i++)
		copy[i] = mem_strdup(list[i]);
	return copy;
}

void mem_strv_append(char ***list, const char *text)
{
	size_t count = mem_strv_length(*list);

	*list = mem_resize(*list, count + 2, sizeof(**list));
	(*list)[count] = mem_strdup(text);
	(*list)[count + 1] = NULL;
}

void mem_strv_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

int fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

void mem_free_cleanup(void *pointer_to_pointer)
{
	void *memory;

	memcpy(&memory, pointer_to_pointer, sizeof(memory));
	free(memory);
}

void fd_close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
