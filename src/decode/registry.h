// Inside of the registry's client.
#ifndef MORAINE_REGISTRY_H
#define MORAINE_REGISTRY_H

#include <jansson.h>

#include "moraine/decode.h"

// GET of `path` (begins with '/'); the answer is a JSON object, to be released with json_decref.
// The caller holds the registry's lock.
enum mor_status mor_registry_get(struct mor_registry *registry, const char *path,
                                 json_t **ret_answer, struct mor_error *err) MOR_CHECKED;

// The schema text of an answer, made complete: the schemas that it refers to are fetched and
// written where their type is first named. Free with free(). DATA when a reference cannot be
// followed.
enum mor_status mor_registry_complete(struct mor_registry *registry, const json_t *answer,
                                      char **ret_text, struct mor_error *err) MOR_CHECKED;

// The texts that an answer refers to, and those that they refer to. Free each and the list. DATA
// when a reference cannot be followed.
enum mor_status mor_registry_collect(struct mor_registry *registry, const json_t *answer,
                                     struct mor_schema_import **ret_imports, size_t *ret_count,
                                     struct mor_error *err) MOR_CHECKED;

#endif
