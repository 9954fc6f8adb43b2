// One binary for all machines: loops that are marked so are compiled for several instruction sets, of
// which the best is chosen at start. None fuses multiplications with additions (-ffp-contract=off in
// CMakeLists.txt), so that all give the same bits.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(RESNET_STD_THREADS)
#define RESNET_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RESNET_CLONES
#endif
#define RESNET_INLINE __attribute__((always_inline)) inline
