// One binary for all machines: marked functions are compiled for several instruction sets, and one is
// chosen at start. Their files are compiled without fused multiplications and additions
// (src/CMakeLists.txt), so that all compute the same bits.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_THREAD__) && \
    !defined(RESNET_STD_THREADS)
#define RESNET_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define RESNET_CLONES
#endif
#define RESNET_INLINE __attribute__((always_inline)) inline
