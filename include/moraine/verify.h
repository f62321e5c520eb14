// Checks a table: its ledger against itself, the rows against the ledger, the files against what is
// stated of them, and the ledger against Kafka. Reads only, locks nothing; commits that land
// meanwhile are no findings.
#ifndef MORAINE_VERIFY_H
#define MORAINE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/source.h"
#include "moraine/table.h"

enum mor_verify_check_name {
    MOR_VERIFY_LEDGER, // the commits' ledgers among themselves
    MOR_VERIFY_ROWS,   // Kafka coordinates of the rows against the ledger
    MOR_VERIFY_KEYS,   // no key twice
    MOR_VERIFY_FILES,  // every file against what is stated of it and by it
    MOR_VERIFY_KAFKA,  // the ledger against what Kafka still has
    MOR_VERIFY_CHECK_COUNT
};

struct mor_verify_number {
    const char *name;
    int64_t value;
};
#define MOR_VERIFY_NUMBERS_MAX 12

struct mor_verify_check {
    const char *name;
    bool checked;       // false: see why_not
    char why_not[1024]; // also what could not be looked at of a check that was made; "" = nothing
    struct mor_verify_number numbers[MOR_VERIFY_NUMBERS_MAX]; // what was looked at
    size_t number_count;
    int64_t finding_count, warning_count; // all of them, also those that are not listed
};

struct mor_verify_finding {
    enum mor_verify_check_name check;
    bool is_warning;                   // harmless
    const char *kind;                  // a constant: "gap", "doubled", "missing file", ...
    const char *version;               // commit, "" = none
    const char *file;                  // file or file group, "" = none
    int32_t partition;                 // of Kafka, -1 = none
    int64_t offset_first, offset_next; // -1 = none
    const char *text;                  // the whole of it, for people
};

// Findings of one kind that are listed; more are counted.
#define MOR_VERIFY_LISTED_MAX 50

struct mor_verify_report {
    char version[64]; // newest commit that was looked at, "" = none
    struct mor_verify_check checks[MOR_VERIFY_CHECK_COUNT];
    struct mor_verify_finding *findings; // as they were found
    size_t finding_count;
    int64_t wrong_count, warning_count; // sums of the checks
    struct mor_arena arena;
};

struct mor_verify_options {
    struct mor_source_reader *kafka; // borrowed; NULL = no comparison with Kafka
    const char *topic;               // what `kafka` reads
    const char *scratch_folder;      // for hashes of keys; NULL = $TMPDIR or /tmp
    size_t key_bytes_max;            // of them in memory, 0 = 64 MiB
    struct mor_budget *budget;       // borrowed, may be NULL
    void (*progress)(void *context, const char *what, int64_t done, int64_t total); // may be NULL
    void *context;
};

// Memory: key_bytes_max and a 64th of what lies in the scratch folder (16 bytes per row of a keyed
// table), one bit per offset that has a row (in pieces of 128 KiB per million offsets), names of
// files and commits, one batch of rows, one page of a column and the keys of one file group's
// changes (64 MiB).
//
// What is wrong with the table is in the report; an error says that it could not be looked at:
// RETRY when it changed too fast (files of the snapshot were cleaned meanwhile). The caller frees
// the report with mor_verify_report_free. One thread; `table` is open for reading.
enum mor_status mor_verify_table(struct mor_table *table, const struct mor_verify_options *options,
                                 struct mor_verify_report **ret_report,
                                 struct mor_error *err) MOR_CHECKED;
void mor_verify_report_free(struct mor_verify_report *report); // NULL allowed
// One line per check, one per finding, one in the end.
void mor_verify_report_text(const struct mor_verify_report *report, struct mor_buffer *ret_text);
// The same as one JSON object.
void mor_verify_report_json(const struct mor_verify_report *report, struct mor_buffer *ret_text);

#endif
