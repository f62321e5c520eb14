#include "ordering.h"

#include <math.h>
#include <string.h>

static int compare_reals(double a, double b)
{
    // as java.lang.Double.compare orders NaN
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int compare_bytes(const struct mor_vector *a_vector, size_t a,
                         const struct mor_vector *b_vector, size_t b)
{
    size_t a_size, b_size;
    const uint8_t *a_bytes = mor_vector_bytes_at(a_vector, a, &a_size);
    const uint8_t *b_bytes = mor_vector_bytes_at(b_vector, b, &b_size);
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common > 0 ? memcmp(a_bytes, b_bytes, common) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

int mor_ordering_compare(const struct mor_vector *a_vector, size_t a,
                         const struct mor_vector *b_vector, size_t b)
{
    switch (a_vector->field->type) {
    case MOR_TYPE_BOOL: {
        bool left = mor_bit_get(a_vector->data.data, a),
             right = mor_bit_get(b_vector->data.data, b);
        return left - right;
    }
    case MOR_TYPE_INT32:
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIME_MILLIS: {
        int32_t left = mor_vector_i32(a_vector, a), right = mor_vector_i32(b_vector, b);
        return (left > right) - (left < right);
    }
    case MOR_TYPE_INT64:
    case MOR_TYPE_TIME_MICROS:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS: {
        int64_t left = mor_vector_i64(a_vector, a), right = mor_vector_i64(b_vector, b);
        return (left > right) - (left < right);
    }
    case MOR_TYPE_FLOAT: {
        float left, right;
        memcpy(&left, a_vector->data.data + a * sizeof left, sizeof left);
        memcpy(&right, b_vector->data.data + b * sizeof right, sizeof right);
        return compare_reals((double)left, (double)right);
    }
    case MOR_TYPE_DOUBLE: {
        double left, right;
        memcpy(&left, a_vector->data.data + a * sizeof left, sizeof left);
        memcpy(&right, b_vector->data.data + b * sizeof right, sizeof right);
        return compare_reals(left, right);
    }
    case MOR_TYPE_DECIMAL: {
        mor_int128 left = mor_vector_decimal(a_vector, a), right = mor_vector_decimal(b_vector, b);
        return (left > right) - (left < right);
    }
    case MOR_TYPE_STRING:
    case MOR_TYPE_BYTES:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
        return compare_bytes(a_vector, a, b_vector, b);
    default:
        return 0; // nested values have no order: the later one wins
    }
}

bool mor_ordering_later_wins(const struct mor_vector *later_vector, size_t later,
                             const struct mor_vector *earlier_vector, size_t earlier)
{
    if (mor_vector_is_null(later_vector, later) || mor_vector_is_null(earlier_vector, earlier))
        return true;
    return mor_ordering_compare(later_vector, later, earlier_vector, earlier) >= 0;
}
