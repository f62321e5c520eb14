// One row per option: where its value goes, how it is read, what it may be, and its text in the
// manual.
#ifndef MORAINE_CONFIG_OPTIONS_H
#define MORAINE_CONFIG_OPTIONS_H

#include "config_yaml.h"

enum mor_option_kind {
    MOR_OPTION_TEXT,       // const char *
    MOR_OPTION_TEXTS,      // struct mor_config_texts; one text stands for a list of one
    MOR_OPTION_BOOL,       // bool
    MOR_OPTION_COUNT,      // int64_t
    MOR_OPTION_RATIO,      // double; min and max in thousandths
    MOR_OPTION_DURATION,   // int64_t, milliseconds
    MOR_OPTION_SIZE,       // int64_t, bytes
    MOR_OPTION_CHOICE,     // an enum
    MOR_OPTION_PROPERTIES, // array of struct mor_config_property, then its size_t count; any keys
    MOR_OPTION_CATALOGS, // array of struct mor_config_catalog, then its size_t count; a mapping by
                         // name
    MOR_OPTION_FIELDS,   // array of struct mor_config_field, then its size_t count
    MOR_OPTION_COLUMNS,  // array of struct mor_config_column, then its size_t count
};

struct mor_option_choice {
    const char *name;
    int value;
    bool unsupported; // known, but not in this version
};

enum {
    MOR_OPTION_REQUIRED = 1,
    MOR_OPTION_UNSUPPORTED = 2, // an error when it is set: it would change what the table holds
    MOR_OPTION_IDLE = 4,        // a warning when it is set: it has no effect yet
};

struct mor_option {
    const char *path; // from the top of the file, parts separated by dots
    enum mor_option_kind kind;
    size_t offset;                           // into the struct of the file
    const char *initial;                     // the default as one would write it; NULL = not set
    int64_t min, max;                        // numbers; both 0 = no limits
    const struct mor_option_choice *choices; // CHOICE, ends with name NULL
    unsigned flags;
    const char *text;
};

#define MOR_OPTION_ROWS_MAX 96

// A table of rows and, after reading, where each of them was set.
struct mor_option_reading {
    struct mor_config_loader *loader;
    const struct mor_option *rows; // ends with path NULL
    const struct mor_yaml_node *root;
    struct mor_place places[MOR_OPTION_ROWS_MAX]; // line 0 = not set
    void *target;
};

// Fills target with the defaults, then reads `root` over them; reports unknown keys, wrong types,
// values out of range, missing required keys, and options this version cannot do.
void mor_option_read(struct mor_option_reading *reading);
// Where option `path` was set; when it was not, where one would look for it.
struct mor_place mor_option_place(const struct mor_option_reading *reading, const char *path);
bool mor_option_is_set(const struct mor_option_reading *reading, const char *path);

// Values of one node (config_parse.c). False when an error was reported.
bool mor_option_parse(struct mor_option_reading *reading, const struct mor_option *row,
                      const struct mor_yaml_node *node);
bool mor_option_parse_text(struct mor_option_reading *reading, const struct mor_option *row,
                           struct mor_place place, const char *text, bool secret);
// Lists of structures (config_lists.c).
bool mor_option_parse_properties(struct mor_option_reading *reading, const struct mor_option *row,
                                 const struct mor_yaml_node *node);
bool mor_option_parse_catalogs(struct mor_option_reading *reading, const struct mor_option *row,
                               const struct mor_yaml_node *node);
bool mor_option_parse_fields(struct mor_option_reading *reading, const struct mor_option *row,
                             const struct mor_yaml_node *node);
bool mor_option_parse_columns(struct mor_option_reading *reading, const struct mor_option *row,
                              const struct mor_yaml_node *node);
// A required or optional scalar of `node` under `key`, substituted; NULL when absent or wrong
// (reported when wrong, or when required and absent).
const char *mor_option_child_text(struct mor_config_loader *loader,
                                  const struct mor_yaml_node *node, const char *key, bool required);

// The name among `count` that is nearest to `name` by edit distance, NULL when none is near.
const char *mor_option_nearest(const char *name, const char *const *names, size_t count);

// "1h", "64KiB", "0.3": numbers as one would write them; for messages and the manual.
void mor_option_format(enum mor_option_kind kind, int64_t value, char *ret_text, size_t capacity);
// "1s to 1h", "at least 1", "" without limits.
void mor_option_format_range(const struct mor_option *row, char *ret_text, size_t capacity);

extern const struct mor_option mor_service_options[];
extern const struct mor_option mor_topic_options[];

// Checks across options (config_check.c); errors go to the report.
void mor_config_check_service(struct mor_option_reading *reading, struct mor_config *config);
void mor_config_check_topic(struct mor_option_reading *reading, const struct mor_config *config,
                            struct mor_config_topic *topic);
void mor_config_check_topics(struct mor_config_loader *loader, const struct mor_config *config);

#endif
