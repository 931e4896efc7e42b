/*
 * An earlier text of a service's file, and what it would ask for of a tenant: so that who runs by
 * it can go on by it, and be started by it again, while the present one is tried with others.
 */
#ifndef TEN_CONFIG_TEMPLATE_H
#define TEN_CONFIG_TEMPLATE_H

#include "config_set.h"

struct config_template;

/* TEXT (LEN bytes, copied) of the file that SET calls NAME. NULL: it does not declare SERVICE, or
 * is wrong. */
struct config_template *config_template_new(const struct config_set *set, const char *service,
	const char *name, const char *text, size_t len);
void config_template_free(struct config_template *template); /* NULL is allowed */

const char *config_template_service(const struct config_template *template);
const char *config_template_name(const struct config_template *template);
const char *config_template_text(const struct config_template *template, size_t *len);

/* The spec of tenant KEY by TEMPLATE and its own declaration in force; a reference, the caller's.
 * NULL: it is not declared, or the two do not go together. */
const struct ten_spec *config_template_spec(
	const struct config_set *set, const struct config_template *template, const char *key);

#endif
