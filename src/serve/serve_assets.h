// The files of the status page, put into the program at build time (serve_page.cmake).
#ifndef MORAINE_SERVE_ASSETS_H
#define MORAINE_SERVE_ASSETS_H

#include <stddef.h>
#include <stdint.h>

struct serve_asset {
    const char *path; // of the URL
    const char *type;
    const char *etag; // quoted
    const uint8_t *data;
    size_t size_bytes;
};
extern const struct serve_asset serve_assets[];
extern const size_t serve_asset_count;

#endif
