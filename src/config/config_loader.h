// What the parts of the loader share: where it is, what it has to say, and which values are secret.
#ifndef MORAINE_CONFIG_LOADER_H
#define MORAINE_CONFIG_LOADER_H

#include "moraine/base/memory.h"
#include "moraine/config.h"

#define MOR_CONFIG_ERRORS_MAX     20
#define MOR_CONFIG_FILE_BYTES_MAX (1024 * 1024)

// Line and column from 1; 0 = the file as a whole.
struct mor_place {
    int64_t line, column;
};

// What mor_config.memory points at.
struct mor_config_memory {
    struct mor_arena arena;
    char **secrets;
    size_t secret_count;
};

struct mor_config_loader {
    struct mor_config_memory *memory;
    struct mor_config_report *report;
    const char *file;      // being read, as the user would name it
    const char *directory; // of that file; relative paths start here
};

void mor_config_error(struct mor_config_loader *loader, struct mor_place place, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));
void mor_config_warning(struct mor_config_loader *loader, struct mor_place place,
                        const char *format, ...) __attribute__((format(printf, 3, 4)));

// Reads a file of at most MOR_CONFIG_FILE_BYTES_MAX into the arena, zero-terminated. NULL with the
// reason ("cannot be read: ...") in *ret_why; no error is reported.
char *mor_config_read_file(struct mor_config_loader *loader, const char *path, size_t *ret_length,
                           const char **ret_why);
// `path` itself when absolute, else below the loader's directory.
const char *mor_config_resolve(struct mor_config_loader *loader, const char *path);

// Replaces ${env:NAME} and ${file:PATH} ("$${" stands for "${"). NULL when an error was reported.
// *ret_secret tells whether something was replaced; such values are remembered for redaction.
const char *mor_config_substitute(struct mor_config_loader *loader, struct mor_place place,
                                  const char *text, bool *ret_secret);
void mor_config_remember_secret(struct mor_config_loader *loader, const char *value);

#endif
