// A walk over the pages of data.mdb with every number checked before it is used, so that a damaged
// file is found here and not by a crash inside LMDB.
//
// Layout (LMDB 0.9, 64 bit, little-endian; lmdb's mdb.c is the specification):
//
//   page     0 u64 page number | 8 u16 - | 10 u16 flags | 12 u16 lower, 14 u16 upper
//            or, on an overflow page, 12 u32 count of pages | 16 u16 node offsets[(lower - 16) / 2]
//   node     0 u16 low, 2 u16 high, 4 u16 flags, 6 u16 key size | 8 key | data
//            leaf: data size = high << 16 | low; branch: child = flags << 32 | high << 16 | low
//   meta     in page 0 and 1, at 16: u32 magic | u32 version | u64 address | u64 map size |
//            database[2] | u64 last page | u64 transaction
//   database 0 u32 page size (first only) | 4 u16 flags | 6 u16 depth | 8 u64 branch pages |
//            16 u64 leaf pages | 24 u64 overflow pages | 32 u64 entries | 40 u64 root
//
// Database 0 holds the free pages (u64 transaction -> u64 count, u64 pages[count]), database 1 is
// ours. The two must not share a page.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moraine/base/memory.h"
#include "state_env.h"

#define PAGE_HEADER    16
#define NODE_HEADER    8
#define PAGE_BRANCH    0x01
#define PAGE_LEAF      0x02
#define PAGE_OVERFLOW  0x04
#define PAGE_META      0x08
#define NODE_BIG       0x01
#define META_MAGIC     0xBEEFC0DEu
#define META_VERSION   1
#define META_SIZE      136
#define NO_PAGE        UINT64_MAX
#define DEPTH_MAX      32 // CURSOR_STACK
#define KEY_SIZE_MAX   511
#define INTEGER_KEY    0x08
#define PAGE_SIZE_MIN  512
#define PAGE_SIZE_MAX  32768
#define FILE_PAGES_MAX ((uint64_t)1 << 36)

struct database {
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct slice {
    const uint8_t *data;
    size_t size;
};

struct walk {
    const uint8_t *file;
    uint64_t file_size;
    size_t page_size;
    uint64_t last_page;
    uint8_t *seen; // one bit per page
    bool is_free_list;
    struct database found; // counted on the way
    struct slice last_key; // of the leaf before, data NULL = none
    struct slice lower;    // the next leaf key must not be before this one
    const char *path;
    struct mor_error *err;
};

static uint16_t u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static enum mor_status damaged(struct walk *walk, uint64_t page, const char *what)
{
    walk->err->file_offset = (int64_t)(page * walk->page_size);
    return mor_error_set(walk->err, MOR_DATA, "'%s' is damaged: page %llu: %s", walk->path,
                         (unsigned long long)page, what);
}

// Marks [first, first + count) as used; false when one was used before or is outside.
static bool mark(struct walk *walk, uint64_t first, uint64_t count)
{
    if (first < 2 || first > walk->last_page || count == 0 || count - 1 > walk->last_page - first)
        return false;
    for (uint64_t page = first; page < first + count; page++) {
        if ((walk->seen[page / 8] >> (page % 8)) & 1)
            return false;
        walk->seen[page / 8] |= (uint8_t)(1u << (page % 8));
    }
    return true;
}

// The bytes of a page that holds `flags`; NULL after an error.
static const uint8_t *open_page(struct walk *walk, uint64_t page, uint64_t count, uint16_t flags)
{
    if (!mark(walk, page, count)) {
        damaged(walk, page, "used twice or outside of the file");
        return NULL;
    }
    if ((page + count) * walk->page_size > walk->file_size) {
        damaged(walk, page, "behind the end of the file");
        return NULL;
    }
    const uint8_t *bytes = walk->file + page * walk->page_size;
    if (u64(bytes) != page || u16(bytes + 10) != flags) {
        damaged(walk, page, "another page's number or another kind of page");
        return NULL;
    }
    return bytes;
}

static int compare_keys(const struct walk *walk, struct slice a, struct slice b)
{
    if (walk->is_free_list) {
        uint64_t x = u64(a.data), y = u64(b.data);
        return x < y ? -1 : x > y;
    }
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

static enum mor_status check_free_pages(struct walk *walk, uint64_t page, struct slice value)
{
    if (value.size < 8 || u64(value.data) > (value.size - 8) / 8)
        return damaged(walk, page, "a list of free pages is cut off");
    uint64_t count = u64(value.data);
    for (uint64_t i = 0; i < count; i++)
        if (!mark(walk, u64(value.data + 8 + i * 8), 1))
            return damaged(walk, page, "a free page is in use, or free twice");
    return MOR_OK;
}

static enum mor_status check_leaf_node(struct walk *walk, uint64_t page, const uint8_t *node,
                                       size_t room)
{
    struct slice key = {node + NODE_HEADER, u16(node + 6)};
    size_t data_size = (size_t)u16(node + 2) << 16 | u16(node);
    uint16_t flags = u16(node + 4);
    size_t held = (flags & NODE_BIG) != 0 ? sizeof(uint64_t) : data_size;
    if ((flags & ~NODE_BIG) != 0 || key.size == 0 || key.size > KEY_SIZE_MAX ||
        (walk->is_free_list && key.size != sizeof(uint64_t)) ||
        held > room - NODE_HEADER - key.size)
        return damaged(walk, page, "an entry that does not fit");
    if ((walk->last_key.data != NULL && compare_keys(walk, walk->last_key, key) >= 0) ||
        (walk->lower.data != NULL && compare_keys(walk, walk->lower, key) > 0))
        return damaged(walk, page, "keys out of order");
    walk->last_key = key;
    walk->lower.data = NULL;
    walk->found.entries++;
    struct slice value = {key.data + key.size, data_size};
    if ((flags & NODE_BIG) != 0) {
        uint64_t first = u64(value.data);
        uint64_t count = (PAGE_HEADER - 1 + data_size) / walk->page_size + 1;
        const uint8_t *bytes = open_page(walk, first, count, PAGE_OVERFLOW);
        if (bytes == NULL)
            return MOR_DATA;
        if (u32(bytes + 12) != count)
            return damaged(walk, first, "a large value of another size");
        walk->found.overflow_pages += count;
        value.data = bytes + PAGE_HEADER;
    }
    return walk->is_free_list ? check_free_pages(walk, page, value) : MOR_OK;
}

static enum mor_status walk_page(struct walk *walk, uint64_t page, unsigned depth_left);

static enum mor_status check_branch_node(struct walk *walk, uint64_t page, const uint8_t *node,
                                         size_t room, bool first, unsigned depth_left)
{
    struct slice key = {node + NODE_HEADER, u16(node + 6)};
    uint64_t child = (uint64_t)u16(node + 4) << 32 | (uint64_t)u16(node + 2) << 16 | u16(node);
    if (key.size > KEY_SIZE_MAX || key.size > room - NODE_HEADER ||
        (!first && (key.size == 0 || (walk->is_free_list && key.size != sizeof(uint64_t)))))
        return damaged(walk, page, "an entry that does not fit");
    // LMDB never looks at the first key of a branch.
    if (!first) {
        if (walk->last_key.data != NULL && compare_keys(walk, walk->last_key, key) >= 0)
            return damaged(walk, page, "keys out of order");
        walk->lower = key;
    }
    return walk_page(walk, child, depth_left - 1);
}

static enum mor_status walk_page(struct walk *walk, uint64_t page, unsigned depth_left)
{
    bool is_leaf = depth_left == 1;
    const uint8_t *bytes = open_page(walk, page, 1, is_leaf ? PAGE_LEAF : PAGE_BRANCH);
    if (bytes == NULL)
        return MOR_DATA;
    uint16_t lower = u16(bytes + 12), upper = u16(bytes + 14);
    if (lower < PAGE_HEADER + 2 || (lower & 1) != 0 || lower > upper || upper > walk->page_size)
        return damaged(walk, page, "an impossible number of entries");
    if (is_leaf)
        walk->found.leaf_pages++;
    else
        walk->found.branch_pages++;
    for (size_t i = 0; i < (lower - PAGE_HEADER) / 2u; i++) {
        uint16_t at = u16(bytes + PAGE_HEADER + i * 2);
        if (at < upper || (at & 1) != 0 || at > walk->page_size - NODE_HEADER ||
            u16(bytes + at + 6) > walk->page_size - NODE_HEADER - at)
            return damaged(walk, page, "an entry outside of the page");
        size_t room = walk->page_size - at;
        MOR_TRY(is_leaf ? check_leaf_node(walk, page, bytes + at, room)
                        : check_branch_node(walk, page, bytes + at, room, i == 0, depth_left));
    }
    return MOR_OK;
}

static enum mor_status walk_database(struct walk *walk, const uint8_t *at, bool is_free_list)
{
    struct database stated = {.flags = u16(at + 4),
                              .depth = u16(at + 6),
                              .branch_pages = u64(at + 8),
                              .leaf_pages = u64(at + 16),
                              .overflow_pages = u64(at + 24),
                              .entries = u64(at + 32),
                              .root = u64(at + 40)};
    walk->is_free_list = is_free_list;
    walk->found = (struct database){0};
    walk->last_key.data = walk->lower.data = NULL;
    if ((is_free_list ? stated.flags != INTEGER_KEY : stated.flags != 0) ||
        stated.depth > DEPTH_MAX || (stated.root == NO_PAGE) != (stated.depth == 0))
        return damaged(walk, 0, "a database with impossible facts");
    if (stated.root != NO_PAGE)
        MOR_TRY(walk_page(walk, stated.root, stated.depth));
    if (walk->found.branch_pages != stated.branch_pages ||
        walk->found.leaf_pages != stated.leaf_pages ||
        walk->found.overflow_pages != stated.overflow_pages ||
        walk->found.entries != stated.entries)
        return damaged(walk, stated.root,
                       "the tree has not as many pages and entries as it should");
    return MOR_OK;
}

static bool meta_is_valid(const struct walk *walk, const uint8_t *page, uint64_t number)
{
    const uint8_t *meta = page + PAGE_HEADER;
    return u64(page) == number && u16(page + 10) == PAGE_META && u32(meta) == META_MAGIC &&
           u32(meta + 4) == META_VERSION && u32(meta + 24) == walk->page_size;
}

static enum mor_status walk_file(struct walk *walk)
{
    long page_size = sysconf(_SC_PAGESIZE);
    walk->page_size = (size_t)(page_size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : page_size);
    if (walk->file_size < 2 * walk->page_size)
        return damaged(walk, 0, "the file is too short");
    const uint8_t *pages[2] = {walk->file, walk->file + walk->page_size};
    if (!meta_is_valid(walk, pages[0], 0) || !meta_is_valid(walk, pages[1], 1))
        return damaged(walk, 0, "not written by LMDB 0.9 with this page size");
    const uint8_t *meta[2] = {pages[0] + PAGE_HEADER, pages[1] + PAGE_HEADER};
    const uint8_t *newest = u64(meta[0] + 128) < u64(meta[1] + 128) ? meta[1] : meta[0];
    walk->last_page = u64(newest + 120);
    if (walk->last_page < 1 || walk->last_page > FILE_PAGES_MAX ||
        u64(newest + 16) < (walk->last_page + 1) * walk->page_size ||
        u64(newest + 16) > FILE_PAGES_MAX * walk->page_size)
        return damaged(walk, 0, "an impossible size");
    // Pages at the end may have been allocated and never written, but not without bound.
    if (walk->last_page > walk->file_size / walk->page_size + (1u << 20))
        return damaged(walk, 0, "the file is cut off");
    walk->seen = mor_calloc(walk->last_page / 8 + 1, 1);
    enum mor_status status = walk_database(walk, newest + 24 + 48, false);
    if (status == MOR_OK)
        status = walk_database(walk, newest + 24, true);
    free(walk->seen);
    return status;
}

enum mor_status mor_state_check_file(const char *path, struct mor_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return MOR_OK;
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0) {
        int code = errno;
        if (fd >= 0)
            close(fd);
        return mor_error_set_errno(err, code, "could not open '%s'", path);
    }
    if (facts.st_size == 0) { // a crash before the first meta page: LMDB starts anew
        close(fd);
        return MOR_OK;
    }
    struct walk walk = {.path = path, .err = err, .file_size = (uint64_t)facts.st_size};
    void *map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return mor_error_set_errno(err, errno, "could not map '%s'", path);
    walk.file = map;
    enum mor_status status = walk_file(&walk);
    munmap(map, (size_t)facts.st_size);
    return status;
}
