// AVX2 with FMA, blocks of 8 channels.
#define RESNET_ISA avx2
#define RESNET_ISA_WIDTH 8
#include "backends/onednn/kernels/all.inc"
