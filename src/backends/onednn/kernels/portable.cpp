// Whatever the compiler's default machine offers, blocks of 8 channels.
#define RESNET_ISA portable
#define RESNET_ISA_WIDTH 8
#include "backends/onednn/kernels/all.inc"
