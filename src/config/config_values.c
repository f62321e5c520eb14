// Units, files, substitution and secrets.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_loader.h"

// ---- units --------------------------------------------------------------------------------------

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", 1024},
    {"MiB", 1024 * 1024},
    {"GiB", 1024LL * 1024 * 1024},
    {"TiB", 1024LL * 1024 * 1024 * 1024},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000LL * 1000 * 1000},
    {NULL, 0},
};

static bool parse_units(const char *text, const struct unit *units, int64_t *ret_value)
{
    int64_t value = 0;
    const char *cursor = text;
    for (; *cursor >= '0' && *cursor <= '9'; cursor++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *cursor - '0', &value))
            return false;
    }
    if (cursor == text)
        return false;
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(cursor, unit->name) == 0)
            return !__builtin_mul_overflow(value, unit->factor, ret_value);
    }
    return false;
}

bool mor_config_parse_duration(const char *text, int64_t *ret_ms)
{
    return parse_units(text, duration_units, ret_ms);
}

bool mor_config_parse_size(const char *text, int64_t *ret_bytes)
{
    return parse_units(text, size_units, ret_bytes);
}

// ---- files --------------------------------------------------------------------------------------

const char *mor_config_resolve(struct mor_config_loader *loader, const char *path)
{
    if (path[0] == '/' || loader->directory[0] == '\0')
        return path;
    return mor_arena_printf(&loader->memory->arena, "%s/%s", loader->directory, path);
}

static const char *why(struct mor_config_loader *loader, int os_errno)
{
    return mor_arena_printf(&loader->memory->arena, "cannot be read: %s", strerror(os_errno));
}

static char *read_open_file(struct mor_config_loader *loader, int file, size_t *ret_length,
                            const char **ret_why)
{
    // Not by st_size: secrets are mounted as files of every kind, and pipes are fine too.
    MOR_AUTO_BUFFER buffer = {0};
    for (;;) {
        mor_buffer_reserve(&buffer, 16 * 1024);
        ssize_t got = read(file, buffer.data + buffer.size_bytes, 16 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            *ret_why = why(loader, errno);
            return NULL;
        }
        if (got == 0)
            break;
        buffer.size_bytes += (size_t)got;
        if (buffer.size_bytes > MOR_CONFIG_FILE_BYTES_MAX) {
            *ret_why = "is larger than 1 MiB";
            return NULL;
        }
    }
    *ret_length = buffer.size_bytes;
    char *text = mor_arena_strndup(&loader->memory->arena,
                                   buffer.data ? (const char *)buffer.data : "", buffer.size_bytes);
    if (buffer.data)
        explicit_bzero(buffer.data, buffer.size_bytes);
    return text;
}

char *mor_config_read_file(struct mor_config_loader *loader, const char *path, size_t *ret_length,
                           const char **ret_why)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        *ret_why = why(loader, errno);
        return NULL;
    }
    char *text = read_open_file(loader, file, ret_length, ret_why);
    (void)close(file); // opened for reading only
    return text;
}

// ---- secrets ------------------------------------------------------------------------------------

// Shorter ones would blot out half of every message.
#define SECRET_LENGTH_MIN 4

void mor_config_remember_secret(struct mor_config_loader *loader, const char *value)
{
    struct mor_config_memory *memory = loader->memory;
    if (strlen(value) < SECRET_LENGTH_MIN)
        return;
    memory->secrets =
        mor_realloc(memory->secrets, (memory->secret_count + 1) * sizeof *memory->secrets);
    memory->secrets[memory->secret_count++] = mor_strdup(value);
}

bool mor_config_secret_name(const char *name)
{
    static const char *const words[] = {"password",   "secret",           "token",
                                        "credential", "private.key",      "key.pem",
                                        "jaas",       "oauthbearer.conf", NULL};
    for (size_t i = 0; words[i]; i++) {
        if (strcasestr(name, words[i]))
            return true;
    }
    return false;
}

void mor_config_redact(const struct mor_config *config, char *text)
{
    const struct mor_config_memory *memory = config->memory;
    for (size_t i = 0; i < memory->secret_count; i++) {
        size_t length = strlen(memory->secrets[i]);
        char *found = text;
        while ((found = strstr(found, memory->secrets[i])) != NULL) {
            memset(found, '*', length);
            found += length;
        }
    }
}

const char *const *mor_config_secrets(const struct mor_config *config, size_t *ret_count)
{
    const struct mor_config_memory *memory = config->memory;
    *ret_count = memory->secret_count;
    return (const char *const *)memory->secrets;
}

static void remember_decoded(struct mor_config_loader *loader, const char *text, size_t length)
{
    MOR_AUTO_FREE char *raw = mor_strndup(text, length), *plain = mor_strndup(text, length);
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned byte = (unsigned char)raw[i];
        if (raw[i] == '%' && i + 2 < length && isxdigit((unsigned char)raw[i + 1]) &&
            isxdigit((unsigned char)raw[i + 2])) {
            char digits[] = {raw[i + 1], raw[i + 2], '\0'};
            byte = (unsigned)strtoul(digits, NULL, 16);
            i += 2;
        }
        plain[size++] = (char)byte;
    }
    plain[size] = '\0';
    mor_config_remember_secret(loader, raw);
    if (strcmp(plain, raw) != 0)
        mor_config_remember_secret(loader, plain);
    explicit_bzero(raw, length);
    explicit_bzero(plain, length);
}

// "https://user:password@host": the password, or who stands alone before the '@', which then is a
// token. Libraries quote addresses in their messages.
static void remember_userinfo(struct mor_config_loader *loader, const char *text)
{
    for (const char *at = text; (at = strstr(at, "://")) != NULL;) {
        at += strlen("://");
        size_t length = strcspn(at, "/?#, \t\n");
        const char *end = memrchr(at, '@', length);
        if (end == NULL)
            continue;
        const char *colon = memchr(at, ':', (size_t)(end - at));
        const char *secret = colon != NULL ? colon + 1 : at;
        remember_decoded(loader, secret, (size_t)(end - secret));
    }
}

// ---- substitution -------------------------------------------------------------------------------

static const char *from_environment(struct mor_config_loader *loader, struct mor_place place,
                                    const char *name)
{
    const char *value = getenv(name);
    if (!value)
        mor_config_error(loader, place, "environment variable '%s' is not set", name);
    return value;
}

static const char *from_file(struct mor_config_loader *loader, struct mor_place place,
                             const char *name)
{
    const char *path = mor_config_resolve(loader, name);
    const char *reason = NULL;
    size_t length = 0;
    char *value = mor_config_read_file(loader, path, &length, &reason);
    if (!value) {
        mor_config_error(loader, place, "file '%s' %s", path, reason);
        return NULL;
    }
    if (strlen(value) != length) {
        mor_config_error(loader, place, "file '%s' holds a zero byte", path);
        return NULL;
    }
    // Editors end a file with a line feed that is not part of the secret.
    if (length > 0 && value[length - 1] == '\n')
        value[--length] = '\0';
    if (length > 0 && value[length - 1] == '\r')
        value[--length] = '\0';
    return value;
}

// `reference` is what stands between "${" and "}".
static const char *look_up(struct mor_config_loader *loader, struct mor_place place,
                           const char *reference)
{
    if (strncmp(reference, "env:", 4) == 0 && reference[4] != '\0')
        return from_environment(loader, place, reference + 4);
    if (strncmp(reference, "file:", 5) == 0 && reference[5] != '\0')
        return from_file(loader, place, reference + 5);
    mor_config_error(loader, place,
                     "'${%s}' is neither ${env:NAME} nor ${file:PATH} (write $${ for a plain ${)",
                     reference);
    return NULL;
}

static const char *fill_in(struct mor_config_loader *loader, struct mor_place place,
                           const char *text, bool *ret_secret)
{
    struct mor_arena *arena = &loader->memory->arena;
    *ret_secret = false;
    if (!strstr(text, "${"))
        return text;
    MOR_AUTO_BUFFER result = {0};
    for (const char *cursor = text; *cursor;) {
        if (strncmp(cursor, "$${", 3) == 0) {
            mor_buffer_append(&result, "${", 2);
            cursor += 3;
            continue;
        }
        if (strncmp(cursor, "${", 2) != 0) {
            mor_buffer_append(&result, cursor++, 1);
            continue;
        }
        const char *end = strchr(cursor, '}');
        if (!end) {
            mor_config_error(loader, place, "'${' without '}'");
            return NULL;
        }
        const char *value = look_up(
            loader, place, mor_arena_strndup(arena, cursor + 2, (size_t)(end - cursor) - 2));
        if (!value)
            return NULL;
        mor_config_remember_secret(loader, value);
        *ret_secret = true;
        mor_buffer_append_text(&result, value);
        cursor = end + 1;
    }
    const char *copy =
        mor_arena_strndup(arena, result.data ? (const char *)result.data : "", result.size_bytes);
    if (result.data)
        explicit_bzero(result.data, result.size_bytes);
    return copy;
}

const char *mor_config_substitute(struct mor_config_loader *loader, struct mor_place place,
                                  const char *text, bool *ret_secret)
{
    const char *filled = fill_in(loader, place, text, ret_secret);
    if (filled != NULL)
        remember_userinfo(loader, filled);
    return filled;
}
