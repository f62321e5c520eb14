// Memory: allocation, the one budget, arenas and growable byte buffers.
//
// An allocation that the system refuses ends the process with one line: the state of moraine is a
// table commit, so a restart is always safe, while half-done work after a failed allocation is not.
// What must never happen is an allocation whose size a file or a record chose unchecked: callers
// compare such sizes with a stated limit first and return MOR_DATA.
#ifndef MORAINE_BASE_MEMORY_H
#define MORAINE_BASE_MEMORY_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// malloc/calloc/realloc/strdup that do not return NULL (see above). Free with free().
void *mor_alloc(size_t size_bytes) __attribute__((returns_nonnull, malloc));
void *mor_calloc(size_t count, size_t size_bytes) __attribute__((returns_nonnull, malloc));
void *mor_realloc(void *memory, size_t size_bytes) __attribute__((returns_nonnull));
char *mor_strdup(const char *text) __attribute__((returns_nonnull, malloc));
char *mor_strndup(const char *text, size_t length) __attribute__((returns_nonnull, malloc));
char *mor_asprintf(const char *format, ...) __attribute__((returns_nonnull, format(printf, 1, 2)));
char *mor_vasprintf(const char *format, va_list arguments)
    __attribute__((returns_nonnull, format(printf, 1, 0)));

static inline void mor_free_cleanup(void *pointer)
{
    free(*(void **)pointer);
}
// A local pointer that is freed when it leaves scope.
#define MOR_AUTO_FREE __attribute__((cleanup(mor_free_cleanup), unused))

// ---- budget -------------------------------------------------------------------------------------

// The memory number of the configuration, shared by every thread. It never refuses: users ask
// mor_budget_used() and stop taking in work (the source pauses partitions) before it is spent.
struct mor_budget {
    size_t limit_bytes;
    atomic_size_t used_bytes;
    atomic_size_t peak_bytes;
};

void mor_budget_init(struct mor_budget *budget, size_t limit_bytes);
// Counts `bytes` as used / as given back. NULL budget: no effect. Any thread.
void mor_budget_take(struct mor_budget *budget, size_t bytes);
void mor_budget_give(struct mor_budget *budget, size_t bytes);
static inline size_t mor_budget_used(const struct mor_budget *budget)
{
    return budget ? atomic_load_explicit(&((struct mor_budget *)budget)->used_bytes,
                                         memory_order_relaxed)
                  : 0;
}

// Large buffers that are given back stay for the next ones, up to `bytes_max` in all (0, the
// default: they go back to the system). Beside the budget, of the whole process. Any thread.
void mor_memory_keep(size_t bytes_max);
// What is kept now.
size_t mor_memory_kept(void);

// ---- arena --------------------------------------------------------------------------------------

// Bump allocator: everything allocated from it lives until reset or done. One thread at a time.
struct mor_arena_chunk;
struct mor_arena {
    struct mor_arena_chunk *chunks; // newest first
    struct mor_budget *budget;      // borrowed, may be NULL
    size_t chunk_size_bytes;
    size_t total_bytes; // sum of chunk sizes
};

// chunk_size_bytes 0 means 64 KiB.
void mor_arena_init(struct mor_arena *arena, size_t chunk_size_bytes, struct mor_budget *budget);
void mor_arena_done(struct mor_arena *arena);
// Gives everything back but the newest chunk, which is reused.
void mor_arena_reset(struct mor_arena *arena);
// 16-byte aligned, uninitialised.
void *mor_arena_alloc(struct mor_arena *arena, size_t size_bytes)
    __attribute__((returns_nonnull, malloc));
void *mor_arena_calloc(struct mor_arena *arena, size_t count, size_t size_bytes)
    __attribute__((returns_nonnull, malloc));
char *mor_arena_strndup(struct mor_arena *arena, const char *text, size_t length)
    __attribute__((returns_nonnull));
char *mor_arena_strdup(struct mor_arena *arena, const char *text) __attribute__((returns_nonnull));
char *mor_arena_printf(struct mor_arena *arena, const char *format, ...)
    __attribute__((returns_nonnull, format(printf, 2, 3)));

// ---- buffer -------------------------------------------------------------------------------------

// Growable bytes. Zero-initialised is a valid empty buffer without a budget.
struct mor_buffer {
    uint8_t *data;
    size_t size_bytes;
    size_t capacity_bytes;
    struct mor_budget *budget; // borrowed, may be NULL; capacity is counted against it
};

void mor_buffer_init(struct mor_buffer *buffer, struct mor_budget *budget);
void mor_buffer_done(struct mor_buffer *buffer);
static inline void mor_buffer_reset(struct mor_buffer *buffer)
{
    buffer->size_bytes = 0;
}
// Slow path of mor_buffer_reserve: grows capacity to at least size + more (at least doubling below
// 1 MiB, by half above).
void mor_buffer_grow(struct mor_buffer *buffer, size_t more_bytes);
// Moves the bytes out; the buffer is empty afterwards. The caller frees *ret_data with free(); the
// budget is given back.
void mor_buffer_move(struct mor_buffer *buffer, uint8_t **ret_data, size_t *ret_size_bytes);

// Makes room for `more_bytes` after size_bytes.
static inline void mor_buffer_reserve(struct mor_buffer *buffer, size_t more_bytes)
{
    if (buffer->capacity_bytes - buffer->size_bytes < more_bytes)
        mor_buffer_grow(buffer, more_bytes);
}
static inline void mor_buffer_append(struct mor_buffer *buffer, const void *bytes,
                                     size_t size_bytes)
{
    mor_buffer_reserve(buffer, size_bytes);
    if (size_bytes > 0)
        memcpy(buffer->data + buffer->size_bytes, bytes, size_bytes);
    buffer->size_bytes += size_bytes;
}
static inline void mor_buffer_append_u8(struct mor_buffer *buffer, uint8_t byte)
{
    mor_buffer_reserve(buffer, 1);
    buffer->data[buffer->size_bytes++] = byte;
}
static inline void mor_buffer_append_text(struct mor_buffer *buffer, const char *text)
{
    mor_buffer_append(buffer, text, strlen(text));
}
void mor_buffer_printf(struct mor_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mor_buffer_append_be32(struct mor_buffer *buffer, uint32_t value);
void mor_buffer_append_be64(struct mor_buffer *buffer, uint64_t value);
void mor_buffer_append_le32(struct mor_buffer *buffer, uint32_t value);
void mor_buffer_append_le64(struct mor_buffer *buffer, uint64_t value);
// Zero byte after the text, not counted in size_bytes; returns the text.
char *mor_buffer_terminate(struct mor_buffer *buffer);

#define MOR_AUTO_BUFFER __attribute__((cleanup(mor_buffer_done))) struct mor_buffer

#endif
