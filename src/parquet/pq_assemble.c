#include "pq_plan.h"

#include <assert.h>

// Levels to vectors. Every node of the plan looks at the levels of one leaf below it: an entry is a
// slot of the node when its repetition level does not go on inside a list further down and its
// definition level says that the enclosing list has an element there.

struct slots {
    const uint8_t *def; // NULL = every entry has the leaf's highest level
    const uint8_t *rep; // NULL = no lists
    size_t entry_count;
    uint8_t def_max;
    uint8_t slot_def, slot_rep;
};

static struct slots slots_of(const struct mor_pq_plan *plan, const struct mor_pq_leaves *leaves)
{
    const struct mor_pq_leaf *leaf = &leaves->items[plan->leaf];
    return (struct slots){.def = leaf->all_present ? NULL : leaf->def.data,
                          .rep = leaf->node->rep > 0 ? leaf->rep.data : NULL,
                          .entry_count = leaf->entry_count,
                          .def_max = leaf->node->def,
                          .slot_def = plan->view->slot_def,
                          .slot_rep = plan->view->slot_rep};
}

static inline uint8_t def_at(const struct slots *s, size_t i)
{
    return s->def ? s->def[i] : s->def_max;
}

static inline bool is_slot(const struct slots *s, size_t i)
{
    return (!s->rep || s->rep[i] <= s->slot_rep) && def_at(s, i) >= s->slot_def;
}

static size_t count_slots(const struct slots *s)
{
    size_t count = 0;
    if (!s->rep && (!s->def || s->slot_def == 0))
        return s->entry_count;
    for (size_t i = 0; i < s->entry_count; i++)
        count += is_slot(s, i);
    return count;
}

// ---- validity -----------------------------------------------------------------------------------

static void reserve_bits(struct mor_buffer *bits, size_t length, size_t count)
{
    size_t bytes = (length + count + 7) / 8;
    if (bytes > bits->size_bytes) {
        mor_buffer_reserve(bits, bytes - bits->size_bytes);
        memset(bits->data + bits->size_bytes, 0, bytes - bits->size_bytes);
        bits->size_bytes = bytes;
    }
}

// Appends `count` bits from bytes that are 0 or 1.
static void append_bits(struct mor_buffer *bits, size_t length, const uint8_t *bytes, size_t count)
{
    reserve_bits(bits, length, count);
    size_t i = 0;
    for (; i < count && (length + i) % 8 != 0; i++)
        mor_bitmap_append(bits, length + i, bytes[i]);
    for (; i + 8 <= count; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        // Gathers the lowest bit of each byte.
        bits->data[(length + i) / 8] = (uint8_t)(word * 0x0102040810204080u >> 56);
    }
    for (; i < count; i++)
        mor_bitmap_append(bits, length + i, bytes[i]);
}

static void append_ones(struct mor_buffer *bits, size_t length, size_t count)
{
    reserve_bits(bits, length, count);
    size_t i = 0;
    for (; i < count && (length + i) % 8 != 0; i++)
        mor_bitmap_append(bits, length + i, true);
    size_t whole = (count - i) / 8;
    memset(bits->data + (length + i) / 8, 0xff, whole);
    for (i += whole * 8; i < count; i++)
        mor_bitmap_append(bits, length + i, true);
}

// valid NULL = all are.
static void append_validity(struct mor_vector *vector, const uint8_t *valid, size_t count,
                            size_t null_count)
{
    if (vector->field->nullable && count > 0) {
        if (valid)
            append_bits(&vector->validity, vector->length, valid, count);
        else
            append_ones(&vector->validity, vector->length, count);
        vector->null_count += null_count;
    }
    vector->length += count;
}

// One byte per slot: is it not null? Also finds nulls of its own (not of an ancestor) where the
// wanted field must not be null.
static enum mor_status find_valid(const struct mor_pq_plan *plan, const struct slots *s,
                                  struct mor_buffer *valid, size_t *ret_count,
                                  size_t *ret_null_count, struct mor_error *err)
{
    const uint8_t def = plan->view->def;
    const bool forbidden = plan->view->nullable && !plan->field->nullable;
    mor_buffer_reserve(valid, s->entry_count + 8);
    uint8_t *to = valid->data;
    assert(to && (s->rep || s->def));
    size_t count = 0, present = 0;
    bool bad = false;
    if (!s->rep && s->slot_def == 0) {
        for (size_t i = 0; i < s->entry_count; i++) {
            to[i] = s->def[i] >= def;
            present += to[i];
            bad |= forbidden & (s->def[i] + 1 == def);
        }
        count = s->entry_count;
    } else {
        for (size_t i = 0; i < s->entry_count; i++) {
            uint8_t level = def_at(s, i);
            if (!is_slot(s, i))
                continue;
            to[count] = level >= def;
            present += to[count++];
            bad |= forbidden & (level + 1 == def);
        }
    }
    *ret_count = count;
    *ret_null_count = count - present;
    if (bad)
        return mor_error_set(err, MOR_DATA, "column '%s' has a null but must not",
                             plan->field->name);
    return MOR_OK;
}

// ---- leaves -------------------------------------------------------------------------------------

// `values` dense values at the end of the data move to the slots that are valid, back to front.
static void spread_fixed(struct mor_buffer *data, size_t width, const uint8_t *valid, size_t count,
                         size_t values)
{
    mor_buffer_reserve(data, (count - values) * width);
    uint8_t *base = data->data + data->size_bytes - values * width;
    for (size_t i = count; i-- > 0;) {
        if (!valid[i])
            memset(base + i * width, 0, width);
        else if (--values != i)
            memcpy(base + i * width, base + values * width, width);
        else
            break; // everything before is in place
    }
    data->size_bytes = (size_t)(base - data->data) + count * width;
}

static void spread_offsets(struct mor_buffer *offsets, const uint8_t *valid, size_t count,
                           size_t values)
{
    mor_buffer_reserve(offsets, (count - values) * sizeof(int32_t));
    int32_t *ends =
        (int32_t *)(void *)offsets->data + offsets->size_bytes / sizeof(int32_t) - values;
    offsets->size_bytes += (count - values) * sizeof(int32_t);
    // ends[-1] is where the batch's bytes begin; a null repeats the end before it.
    for (size_t i = count; i-- > 0 && values != i + 1;) {
        ends[i] = ends[(ptrdiff_t)values - 1];
        values -= valid[i];
    }
}

static void spread_booleans(struct mor_vector *vector, const struct mor_buffer *booleans,
                            const uint8_t *valid, size_t count)
{
    if (!valid) {
        append_bits(&vector->data, vector->length, booleans->data, count);
        return;
    }
    reserve_bits(&vector->data, vector->length, count);
    size_t next = 0;
    for (size_t i = 0; i < count; i++)
        mor_bitmap_append(&vector->data, vector->length + i, valid[i] && booleans->data[next++]);
}

static enum mor_status assemble_leaf(const struct mor_pq_plan *plan,
                                     const struct mor_pq_leaves *leaves, struct mor_vector *vector,
                                     struct mor_error *err)
{
    const struct mor_pq_leaf *leaf = &leaves->items[plan->leaf];
    struct slots s = slots_of(plan, leaves);
    MOR_AUTO_BUFFER bytes = {0};
    const uint8_t *valid = NULL;
    size_t count = s.entry_count, nulls = 0;
    // With no level missing every entry is a slot with a value.
    if (s.def) {
        MOR_TRY(find_valid(plan, &s, &bytes, &count, &nulls, err));
        valid = nulls > 0 ? bytes.data : NULL;
    }
    if (count - nulls != leaf->value_count)
        return mor_error_set(err, MOR_DATA, "column '%s' has levels that contradict each other",
                             plan->field->name);
    mor_buffer_reserve(&vector->data, 1); // empty values have an address too
    if (leaf->convert.kind == MOR_PQ_V_BOOL) {
        if (count > 0)
            spread_booleans(vector, &leaf->booleans, valid, count);
    } else if (valid && leaf->convert.to_width > 0) {
        spread_fixed(&vector->data, leaf->convert.to_width, valid, count, leaf->value_count);
    } else if (valid) {
        spread_offsets(&vector->offsets, valid, count, leaf->value_count);
    }
    append_validity(vector, valid, count, nulls);
    return MOR_OK;
}

// ---- groups -------------------------------------------------------------------------------------

static enum mor_status assemble(const struct mor_pq_plan *plan, const struct mor_pq_leaves *leaves,
                                size_t slot_count, struct mor_vector *vector,
                                struct mor_error *err);

static enum mor_status wrong_length(const struct mor_pq_plan *plan, struct mor_error *err)
{
    return mor_error_set(err, MOR_DATA,
                         "column '%s' has another number of values than its siblings",
                         plan->field->name);
}

static enum mor_status assemble_struct(const struct mor_pq_plan *plan,
                                       const struct mor_pq_leaves *leaves,
                                       struct mor_vector *vector, struct mor_error *err)
{
    struct slots s = slots_of(plan, leaves);
    size_t count, nulls = 0, before = vector->length;
    MOR_AUTO_BUFFER valid = {0};
    if (s.def)
        MOR_TRY(find_valid(plan, &s, &valid, &count, &nulls, err));
    else
        count = count_slots(&s);
    append_validity(vector, nulls > 0 ? valid.data : NULL, count, nulls);
    for (size_t i = 0; i < plan->child_count; i++) {
        MOR_TRY(assemble(&plan->children[i], leaves, count, &vector->children[i], err));
        if (vector->children[i].length != before + count)
            return wrong_length(&plan->children[i], err);
    }
    return MOR_OK;
}

// Ends of the lists, and how many elements they have together. Elements before the first list
// belong to none: malformed levels, found by the caller because the child then has too many slots.
static size_t append_list_offsets(const struct mor_pq_plan *plan, const struct slots *s,
                                  struct mor_vector *vector, size_t slot_count)
{
    const uint8_t list_def = plan->view->list_def, list_rep = plan->view->list_rep;
    assert(s->rep); // every leaf below a list has them
    size_t elements = vector->children[0].length, first = elements;
    mor_buffer_reserve(&vector->offsets, slot_count * sizeof(int32_t));
    int32_t *ends = (int32_t *)(void *)(vector->offsets.data + vector->offsets.size_bytes);
    size_t slot = 0;
    for (size_t i = 0; i < s->entry_count; i++) {
        uint8_t def = def_at(s, i);
        if (is_slot(s, i) && slot++ > 0)
            ends[slot - 2] = (int32_t)elements;
        elements += slot > 0 && def >= list_def && s->rep[i] <= list_rep;
    }
    if (slot > 0)
        ends[slot - 1] = (int32_t)elements;
    vector->offsets.size_bytes += slot * sizeof(int32_t);
    return elements - first;
}

static enum mor_status assemble_list(const struct mor_pq_plan *plan,
                                     const struct mor_pq_leaves *leaves, struct mor_vector *vector,
                                     struct mor_error *err)
{
    struct slots s = slots_of(plan, leaves);
    size_t count, nulls = 0, before = vector->children[0].length;
    MOR_AUTO_BUFFER valid = {0};
    if (s.def)
        MOR_TRY(find_valid(plan, &s, &valid, &count, &nulls, err));
    else
        count = count_slots(&s);
    if (before + s.entry_count > INT32_MAX)
        return mor_error_set(err, MOR_DATA,
                             "column '%s' holds more list elements than one batch can",
                             plan->field->name);
    size_t elements = append_list_offsets(plan, &s, vector, count);
    append_validity(vector, nulls > 0 ? valid.data : NULL, count, nulls);
    for (size_t i = 0; i < plan->child_count; i++) {
        MOR_TRY(assemble(&plan->children[i], leaves, elements, &vector->children[i], err));
        if (vector->children[i].length != before + elements)
            return wrong_length(&plan->children[i], err);
    }
    return MOR_OK;
}

static enum mor_status assemble(const struct mor_pq_plan *plan, const struct mor_pq_leaves *leaves,
                                size_t slot_count, struct mor_vector *vector, struct mor_error *err)
{
    if (!plan->view) {
        for (size_t i = 0; i < slot_count; i++)
            mor_vector_append_null(vector);
        return MOR_OK;
    }
    if (plan->child_count == 0 && plan->field->type != MOR_TYPE_STRUCT)
        return assemble_leaf(plan, leaves, vector, err);
    if (plan->field->type == MOR_TYPE_STRUCT)
        return assemble_struct(plan, leaves, vector, err);
    return assemble_list(plan, leaves, vector, err);
}

enum mor_status mor_pq_assemble(const struct mor_pq_plan *plan, const struct mor_pq_leaves *leaves,
                                size_t row_count, struct mor_vector *vector, struct mor_error *err)
{
    size_t before = vector->length;
    MOR_TRY(assemble(plan, leaves, row_count, vector, err));
    if (vector->length != before + row_count)
        return wrong_length(plan, err);
    return MOR_OK;
}
