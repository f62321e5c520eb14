// Loops that are worth a second version for AVX2: the loader picks one. Sanitizers and clang get
// the plain one (resolvers run before a sanitizer is ready).
#ifndef MOR_PQ_SIMD_H
#define MOR_PQ_SIMD_H

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__OPTIMIZE__) &&                      \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MOR_PQ_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define MOR_PQ_CLONES
#endif

#endif
