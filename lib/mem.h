/*
 * Owning memory. Allocation for configuration and bookkeeping never returns NULL: a machine that
 * cannot give a few hundred bytes ends the program, and its parent starts it again on the state
 * that is on disk. (The proxy's per-connection buffers do not use these: it sheds load instead.)
 *
 * An owning local pointer carries `autofree`, an owning local descriptor `autoclose`;
 * ownership is handed on by mem_steal() and fd_steal().
 */
#ifndef TEN_MEM_H
#define TEN_MEM_H

#include <stdarg.h>
#include <stddef.h>

#define autofree  __attribute__((cleanup(mem_free_cleanup)))
#define autoclose __attribute__((cleanup(fd_close_cleanup)))

/* Take what the owning pointer *P holds and leave NULL behind; keeps the type. */
#define mem_steal(p)                                                                               \
	({                                                                                         \
		__typeof__(*(p)) stolen_ = *(p);                                                   \
		*(p) = NULL;                                                                       \
		stolen_;                                                                           \
	})

void *mem_alloc(size_t bytes); /* zeroed; the caller frees */
void *mem_resize(void *old, size_t count, size_t size);
char *mem_strdup(const char *text); /* NULL gives NULL */
char *mem_strndup(const char *text, size_t len);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* A NULL-terminated array of owned strings. */
char **mem_strv_copy(char *const *list); /* NULL gives NULL */
size_t mem_strv_length(char *const *list);
void mem_strv_append(char ***list, const char *text);
void mem_strv_free(char **list);

int fd_steal(int *fd); /* returns *fd and leaves -1 behind */

void mem_free_cleanup(void *pointer_to_pointer);
void fd_close_cleanup(int *fd);

#endif
