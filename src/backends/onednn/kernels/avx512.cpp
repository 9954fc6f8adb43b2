// AVX-512 (F, BW, DQ, VL), blocks of 16 channels.
#define RESNET_ISA avx512
#define RESNET_ISA_WIDTH 16
#include "backends/onednn/kernels/all.inc"
