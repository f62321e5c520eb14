// Protobuf message types (proto2, proto3): from descriptors or from the text of .proto files.
//
// Types are declared file by file, then linked once: names become pointers. The well-known types of
// google.protobuf are always there. Limits: MOR_PROTO_*_MAX.
#ifndef MORAINE_PROTO_SCHEMA_H
#define MORAINE_PROTO_SCHEMA_H

#include "moraine/base/map.h"
#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/column.h"

#define MOR_PROTO_TEXT_SIZE_MAX (1u << 20) // of all files together
#define MOR_PROTO_DEPTH_MAX     32         // nesting of declarations
#define MOR_PROTO_MEMBERS_MAX   20000      // messages, fields, enums and their values

// As descriptor.proto numbers them.
enum mor_proto_type {
    MOR_PROTO_UNKNOWN, // a name that is not linked yet: message or enum
    MOR_PROTO_DOUBLE,
    MOR_PROTO_FLOAT,
    MOR_PROTO_INT64,
    MOR_PROTO_UINT64,
    MOR_PROTO_INT32,
    MOR_PROTO_FIXED64,
    MOR_PROTO_FIXED32,
    MOR_PROTO_BOOL,
    MOR_PROTO_STRING,
    MOR_PROTO_GROUP,
    MOR_PROTO_MESSAGE,
    MOR_PROTO_BYTES,
    MOR_PROTO_UINT32,
    MOR_PROTO_ENUM,
    MOR_PROTO_SFIXED32,
    MOR_PROTO_SFIXED64,
    MOR_PROTO_SINT32,
    MOR_PROTO_SINT64,
};

struct mor_proto_value {
    const char *name;
    int32_t number;
};

struct mor_proto_enum {
    const char *full_name;
    struct mor_proto_value *values;
    size_t value_count;
};

struct mor_proto_field {
    const char *name;
    int32_t number;
    enum mor_proto_type type;
    bool repeated, required;
    bool implicit;         // absent means zero, not null
    bool group;            // proto2's oldest form of a nested message
    int32_t oneof;         // members of one choice have the same number, -1 = none
    const char *type_name; // message or enum, as written
    const struct mor_proto_message *message;
    const struct mor_proto_enum *enumeration;
};

// Types whose columns are not simply their fields.
enum mor_proto_known {
    MOR_PROTO_PLAIN,
    MOR_PROTO_TIMESTAMP,
    MOR_PROTO_DURATION,
    MOR_PROTO_WRAPPER,
    MOR_PROTO_STRUCT,
    MOR_PROTO_VALUE,
    MOR_PROTO_LIST,
};

struct mor_proto_message {
    const char *full_name;
    const char *scope; // where names of its fields are looked up
    enum mor_proto_known known;
    bool is_map_entry;
    struct mor_proto_field *fields;
    size_t field_count;
    int32_t oneof_count;
    struct mor_proto_message **nested; // in the order of the file, without map entries
    size_t nested_count;
};

struct mor_proto_file {
    const char *name;
    const char *package;
    bool implicit; // proto3: scalars without `optional` have no presence
    struct mor_proto_message **messages;
    size_t message_count;
};

struct mor_proto_set {
    struct mor_arena arena;
    struct mor_map names; // full name -> struct mor_proto_symbol
    struct mor_proto_file **files;
    size_t file_count;
    struct mor_proto_message **messages; // all of them, for the linking
    size_t message_count;
    size_t member_count, text_size_bytes;
};

struct mor_proto_set *mor_proto_set_new(void);
void mor_proto_set_free(struct mor_proto_set *set);
// Adds the files of a FileDescriptorSet (`protoc --descriptor_set_out --include_imports`), or one
// file: a FileDescriptorProto or a .proto text. A file of a name that is there already is left out.
// DATA with what is wrong and where.
enum mor_status mor_proto_add_descriptors(struct mor_proto_set *set, const void *bytes,
                                          size_t size_bytes, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_proto_add_descriptor(struct mor_proto_set *set, const char *file_name,
                                         const void *bytes, size_t size_bytes,
                                         struct mor_error *err) MOR_CHECKED;
enum mor_status mor_proto_add_text(struct mor_proto_set *set, const char *file_name,
                                   const char *text, size_t size_bytes,
                                   struct mor_error *err) MOR_CHECKED;
// Resolves names; once, after the last file. DATA for a type that is not defined.
enum mor_status mor_proto_link(struct mor_proto_set *set, struct mor_error *err) MOR_CHECKED;
// NULL when there is none. `name` with its package.
const struct mor_proto_message *mor_proto_find(const struct mor_proto_set *set, const char *name);
// By place: index in the file, then among the nested messages (Confluent's message indexes).
const struct mor_proto_message *mor_proto_at(const struct mor_proto_file *file,
                                             const int32_t *indexes, size_t count);
const struct mor_proto_file *mor_proto_find_file(const struct mor_proto_set *set, const char *name);

// The table that a message maps to. DATA with the field's path for what a table cannot hold
// (recursive types).
enum mor_status mor_proto_to_table(const struct mor_proto_message *message,
                                   struct mor_schema **ret_schema,
                                   struct mor_error *err) MOR_CHECKED;

// ---- declaring (for the two readers) ------------------------------------------------------------

// NULL when a file of that name is there already.
struct mor_proto_file *mor_proto_declare_file(struct mor_proto_set *set, const char *name);
// `parent` NULL = at the file's top. DATA for a name that is taken, or past the limits.
enum mor_status mor_proto_declare_message(struct mor_proto_set *set, struct mor_proto_file *file,
                                          struct mor_proto_message *parent, const char *name,
                                          bool is_map_entry, struct mor_proto_message **ret_message,
                                          struct mor_error *err) MOR_CHECKED;
enum mor_status mor_proto_declare_field(struct mor_proto_set *set,
                                        struct mor_proto_message *message,
                                        const struct mor_proto_field *field,
                                        struct mor_error *err) MOR_CHECKED;
enum mor_status mor_proto_declare_enum(struct mor_proto_set *set, const struct mor_proto_file *file,
                                       const struct mor_proto_message *parent, const char *name,
                                       struct mor_proto_enum **ret_enum,
                                       struct mor_error *err) MOR_CHECKED;
enum mor_status mor_proto_declare_value(struct mor_proto_set *set, struct mor_proto_enum *to,
                                        const char *name, int32_t number,
                                        struct mor_error *err) MOR_CHECKED;

#endif
