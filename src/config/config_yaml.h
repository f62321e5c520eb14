// A YAML file as a tree of nodes with their places. Only what a configuration needs: one document
// of mappings, sequences and scalars; anchors, aliases, tags and merge keys are refused.
#ifndef MORAINE_CONFIG_YAML_H
#define MORAINE_CONFIG_YAML_H

#include "config_loader.h"

#define MOR_YAML_DEPTH_MAX 40
#define MOR_YAML_NODES_MAX 100000

enum mor_yaml_kind { MOR_YAML_SCALAR, MOR_YAML_SEQUENCE, MOR_YAML_MAPPING };

struct mor_yaml_node {
    enum mor_yaml_kind kind;
    bool quoted; // SCALAR: "..." or '...' or a block
    struct mor_place place;
    const char *text; // SCALAR, as written (nothing replaced yet)
    const char *key;  // inside a mapping: the key
    struct mor_place key_place;
    struct mor_yaml_node *first; // SEQUENCE, MAPPING
    struct mor_yaml_node *next;  // sibling
};

// Parses `text`; nodes live in the loader's arena. NULL when an error was reported. Keys of one
// mapping are unique.
struct mor_yaml_node *mor_yaml_parse(struct mor_config_loader *loader, const char *text,
                                     size_t length);
// "a mapping", "a list", "nothing", "text"
const char *mor_yaml_describe(const struct mor_yaml_node *node);
// The child of a mapping, NULL when there is none.
struct mor_yaml_node *mor_yaml_child(const struct mor_yaml_node *node, const char *key);

#endif
