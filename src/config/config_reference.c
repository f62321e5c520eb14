// Prints the manual of all options from their rows.
#include <stdio.h>

#include "config_options.h"

static const char *type_name(const struct mor_option *row)
{
    switch (row->kind) {
    case MOR_OPTION_TEXT:
        return "text";
    case MOR_OPTION_TEXTS:
        return "list of texts";
    case MOR_OPTION_BOOL:
        return "true, false";
    case MOR_OPTION_COUNT:
        return "whole number";
    case MOR_OPTION_RATIO:
        return "number";
    case MOR_OPTION_DURATION:
        return "duration";
    case MOR_OPTION_SIZE:
        return "size";
    case MOR_OPTION_CHOICE:
        return "";
    case MOR_OPTION_PROPERTIES:
    case MOR_OPTION_CATALOGS:
        return "mapping";
    case MOR_OPTION_FIELDS:
    case MOR_OPTION_COLUMNS:
        return "list of columns";
    }
    return "";
}

static void print_values(FILE *out, const struct mor_option *row)
{
    if (row->kind != MOR_OPTION_CHOICE) {
        char range[80];
        mor_option_format_range(row, range, sizeof range);
        fprintf(out, "%s%s%s", type_name(row), range[0] ? ", " : "", range);
        return;
    }
    for (const struct mor_option_choice *choice = row->choices; choice->name; choice++)
        fprintf(out, "%s`%s`%s", choice == row->choices ? "" : ", ", choice->name,
                choice->unsupported ? " (not yet)" : "");
}

static void print_rows(FILE *out, const struct mor_option *rows)
{
    fprintf(out, "| key | value | default | |\n|---|---|---|---|\n");
    for (const struct mor_option *row = rows; row->path; row++) {
        fprintf(out, "| `%s` | ", row->path);
        print_values(out, row);
        if (row->initial)
            fprintf(out, " | `%s`", row->initial);
        else
            fprintf(out, " | %s", row->flags & MOR_OPTION_REQUIRED ? "required" : "");
        fprintf(out, " | %s%s |\n", row->text,
                row->flags & MOR_OPTION_UNSUPPORTED ? " **Not supported yet: an error when set.**"
                : row->flags & MOR_OPTION_IDLE      ? " *No effect yet.*"
                                                    : "");
    }
}

void mor_config_print_reference(FILE *out)
{
    fprintf(
        out, "%s",
        "# Configuration\n"
        "\n"
        "<!-- printed from the option tables in src/config/config_tables.c; a test compares them "
        "-->\n"
        "\n"
        "One YAML file for the service and one per topic. A key with dots stands for nested "
        "mappings: `log.level` is\n"
        "`log: {level: ...}`, and may also be written as it is. Unknown keys, values out of range "
        "and numbers without\n"
        "their unit are errors that name the file, the line and the column; `moraine check` finds "
        "them all before a\n"
        "deployment.\n"
        "\n"
        "- **Durations**: a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `10s`, `24h`.\n"
        "- **Sizes**: a whole number and `B`, `KiB`, `MiB`, `GiB` or `TiB` (powers of 1024), or "
        "`KB`, `MB`, `GB` (powers\n"
        "  of 1000): `64KiB`, `2GiB`.\n"
        "- **Secrets**: `${env:NAME}` is replaced by an environment variable, `${file:PATH}` by "
        "the contents of a file\n"
        "  (relative to the YAML file, one line feed at its end is dropped); `$${` is a plain "
        "`${`. A variable that is not\n"
        "  set and a file that cannot be read are errors. What came in this way, and every value "
        "whose key names a\n"
        "  password, secret, token or credential, is never printed, logged or served; nor is the "
        "password of an\n"
        "  address (`https://user:password@host`).\n"
        "- YAML anchors, aliases, merge keys and tags are refused, and so are duplicate keys.\n"
        "\n"
        "## Service file\n"
        "\n");
    print_rows(out, mor_service_options);
    fprintf(out, "%s", "\n## Topic files\n\n");
    print_rows(out, mor_topic_options);
    fprintf(
        out, "%s",
        "\n### Columns\n"
        "\n"
        "`schema.fields` is a list of `{name, type, nullable, doc}`; a column is nullable "
        "unless it says otherwise. Types:\n"
        "`boolean`, `int`, `long`, `float`, `double`, `decimal(P,S)`, `date`, `time_ms`, "
        "`time_us`, `timestamp_ms`,\n"
        "`timestamp_us`, `string`, `bytes`, `uuid`, `list<TYPE>`, `map<TYPE>`. A struct has "
        "`fields` of its own instead of\n"
        "a type; `list<struct>` and `map<struct>` have both. The text of a `uuid`, from here or "
        "from a schema of JSON or Avro, must be one\n"
        "(36 characters with hyphens) in every table format, or the record is a dead letter; Hudi "
        "tables keep it as text, as it came:\n"
        "\n"
        "```yaml\n"
        "schema:\n"
        "  fields:\n"
        "    - {name: order_id, type: long, nullable: false}\n"
        "    - {name: amount, type: \"decimal(12,2)\"}\n"
        "    - name: address\n"
        "      fields: [{name: street, type: string}, {name: city, type: string}]\n"
        "    - name: items\n"
        "      type: list<struct>\n"
        "      fields: [{name: sku, type: string}, {name: quantity, type: int}]\n"
        "```\n"
        "\n"
        "### Columns chosen by hand\n"
        "\n"
        "Without `columns` the fields of the payload are the columns. A list of `columns` adds "
        "to them, or chooses among them:\n"
        "once it has a `field`, only the fields it names become columns. Payload columns come "
        "first in the table, then the\n"
        "others, each in the order of the list. `as` is the column's name (default: the last "
        "part of the source's).\n"
        "\n"
        "| source | what | type |\n"
        "|---|---|---|\n"
        "| `field: customer.id` | a field of the payload, nested ones by their path | the "
        "schema's; JSON may name another |\n"
        "| `header: trace_id` | the last Kafka header of that name, null when there is none | "
        "`string` |\n"
        "| `constant: eu-1` | the same value in every row | `string` |\n"
        "| `kafka: topic` | also `partition`, `offset`, `timestamp`, `key`, `value`, `headers` "
        "| their own; `bytes` for key and value, `map<bytes>` for headers |\n"
        "| `debezium: op` | also `position`, `ts_ms`, `source.<field>`; with `value.envelope: "
        "debezium` | their own; `string` for what is not known |\n"
        "\n"
        "```yaml\n"
        "columns:\n"
        "  - {field: id}\n"
        "  - {field: customer.address.city, as: city}\n"
        "  - {header: trace_id}\n"
        "  - {constant: eu-1, as: region}\n"
        "  - {kafka: timestamp, as: received_at}\n"
        "  - {kafka: key, as: device, type: string}\n"
        "```\n"
        "\n"
        "A header or message key of another type than `bytes` must be text that the type can "
        "be read from (`42`,\n"
        "`2026-01-31`); otherwise the record is a dead letter. `value.format: raw` reads no "
        "payload: without `columns` the\n"
        "table has `key`, `value` (bytes), `headers` (`map<bytes>`) and `timestamp`.\n"
        "\n"
        "### Event time\n"
        "\n"
        "`event_time.field` names any column: a timestamp, a date, a number in `event_time.unit` "
        "(also with a fraction), a text\n"
        "(ISO 8601, `format`, or a number with `format: epoch`). A time that comes with the record "
        "rather than in it is a column\n"
        "first:\n"
        "\n"
        "```yaml\n"
        "columns:\n"
        "  - {header: sent_at, type: long}           # or timestamp_ms for ISO 8601\n"
        "event_time: {field: sent_at, unit: s, max_lateness: 5m}\n"
        "```\n"
        "\n"
        "A record without event time (null, a tombstone) is never late and moves nothing; a text "
        "that is no time makes the\n"
        "record a dead letter. Times before the year 1 count as its first day.\n"
        "\n"
        "### Schemas of JSON\n"
        "\n"
        "From the registry or a file comes a JSON Schema: objects with properties become structs, "
        "those with\n"
        "`additionalProperties` alone maps, `integer` `long`, `number` `double`, texts what their "
        "`format` says (`date-time`,\n"
        "`date`, `uuid`; base64 by `contentEncoding`); what Kafka Connect notes of its types is "
        "heeded. What has no fixed shape\n"
        "(several types, recursion, free objects) is text that holds the JSON. Values may have "
        "Confluent's five bytes in front.\n"
        "\n"
        "`schema: inferred` looks at up to 1,000 of the first records when there is no table yet: "
        "`boolean`, `long`, `double`\n"
        "(also where whole numbers and fractions mix), lists, structs up to 8 levels deep, and "
        "`string` for everything else, which\n"
        "takes any value as its JSON text. The columns are logged (`schema_inferred`), and from "
        "then "
        "on the table's columns are\n"
        "the schema: later fields are not added, values that do not fit are dead letters. Times "
        "and "
        "decimals are not guessed:\n"
        "name their types in `columns`.\n"
        "\n"
        "Numbers are read exactly: one that does not fit its column makes the record a dead "
        "letter, "
        "as does a key that occurs\n"
        "twice in an object, text that is not UTF-8, and nesting beyond `limits.depth`.\n"
        "\n"
        "### Avro\n"
        "\n"
        "Every writer's schema is resolved against the topic's (the newest of the subject): fields "
        "by "
        "name or alias in any\n"
        "order, numbers widened, defaults where a writer lacks a field. A union of `int` and "
        "`long` is "
        "a `long`, of `float` and\n"
        "`double` a `double`; another union of several types is a struct with a field per branch, "
        "named by its type (`string`,\n"
        "`array`, the name of a record), as Kafka Connect has it. Logical types that Avro 1.11 "
        "does not "
        "name "
        "(also `duration`) are\n"
        "read as their base type. A recursive type cannot be a table.\n"
        "\n"
        "### Protobuf\n"
        "\n"
        "proto2, proto3 and editions. `uint32` and `fixed32` are `long`, `uint64` and `fixed64` "
        "`decimal(20,0)`, enums their\n"
        "names (an unknown number stays a number, as text), repeated fields lists, maps maps with "
        "text "
        "keys, messages structs,\n"
        "messages without fields booleans. `Timestamp` is a timestamp, `Duration` a `long` of "
        "microseconds, wrappers are nullable\n"
        "scalars, `Struct`, `Value` and `ListValue` JSON text, `Any` its type URL and bytes. An "
        "absent "
        "scalar is zero in proto3\n"
        "unless it is `optional`; everything else that is absent is null. Groups and recursive "
        "types "
        "are refused.\n"
        "\n"
        "### When a producer's schema changes\n"
        "\n"
        "Every record in the registry's wire format names its schema, so old and new ones may "
        "alternate. With `schema_changes:\n"
        "evolve` the first record of a schema that has more than the table makes the columns grow, "
        "in the commit that has it:\n"
        "new fields, nested ones too, are columns from then on (null in rows before), `int` "
        "becomes `long`, `float` `double`, a\n"
        "decimal gets more digits, what is required may become optional. A field that a schema has "
        "no more stays a column and is\n"
        "null from then on; when it comes back, it is the same column. A field that is "
        "renamed with an Avro alias stays the column that the table has; Protobuf's fields go by\n"
        "their names. Of change events the row counts, not what stands around it. Columns chosen "
        "by hand (`columns` with a\n"
        "`field`) stay as chosen, but a struct among them grows (not in JSON). JSON needs `schema: "
        "registry` and "
        "the five bytes in front; without them a field that comes new is named once in the log "
        "(`fields_left_out`) and left out,\n"
        "also of change events, until the file declares it: the `schema` that Kafka Connect writes "
        "beside a `payload` is stepped over.\n"
        "Readers of Hudi tables see the rows from before with their values widened. Two of them "
        "wait for merging, which the service does\n"
        "within seconds when a type was changed (with `compaction.mode: auto`): until the file "
        "groups with such changes are merged, Hudi 0.15\n"
        "fails where a decimal got more digits, and hudi-rs 0.5.0 where one column was added and "
        "another widened.\n"
        "What cannot be followed (a text that becomes a number, a list that becomes one value) "
        "stops the topic, with the column,\n"
        "both types, the schema's id, and the partition and offset of the first such record.\n"
        "\n"
        "### Limits against hostile input\n"
        "\n"
        "What passes one of these is an error with words: a record becomes a dead letter, a schema "
        "is refused.\n"
        "\n"
        "| of | limit |\n"
        "|---|---|\n"
        "| a value or message key, and so every text, list and map in it | `limits.value_size` |\n"
        "| nesting of a JSON value | `limits.depth`; of unknown Protobuf groups 32, of skipped "
        "Avro "
        "values 64 |\n"
        "| elements of a list or map, headers of a record | `limits.elements` |\n"
        "| a batch that Kafka hands over, unpacked | `receive.message.max.bytes` of `kafka` "
        "(librdkafka's default: 100 MB) |\n"
        "| columns of a table, nested ones counted; their nesting | 5,000; 32 levels |\n"
        "| text of a schema, its imports included | 1 MiB; an answer of the registry 8 MiB |\n"
        "| schemas that one refers to; names in a schema | 64; 5,000 in Avro, 20,000 in Protobuf "
        "|\n"
        "| schemas of writers that are remembered at a time | 1,024 for each lane |\n"
        "\n"
        "### Change events (Debezium)\n"
        "\n"
        "With `value.envelope: debezium` the columns are those of the row: `after`, or "
        "`before` of a delete. Events may come\n"
        "with or without their schema part. `schema.fields` and `schema.file` declare the row "
        "for JSON; in Avro the row is the\n"
        "type of `after`. Creates, updates and snapshot reads (`c`, `u`, `r`) write the row, "
        "`d` and the tombstone behind it\n"
        "delete it; a changed primary key arrives as a delete and a create. Other events "
        "(`m`) are counted as filtered. Rows are\n"
        "ordered by the Kafka offset; `{debezium: position}` is a column that grows with the "
        "source's log (PostgreSQL's LSN;\n"
        "MySQL: binlog file number * 2^40 + position) and may be named as `ordering`.\n");
}
