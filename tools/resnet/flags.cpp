#include "flags.h"

DEFINE_string(model, "", "FILE: the net (prototxt)");
DEFINE_string(solver, "", "FILE: the solver (prototxt)");
DEFINE_string(weights, "", "FILE: the weights (caffemodel)");
DEFINE_string(source, "",
              "PATH: an LMDB folder, a folder of class folders, a tar file, a list of lines \"path "
              "label\", or CIFAR-10's binary files");
DEFINE_string(list, "", "FILE: images, one path a line, a label behind it or not");
DEFINE_string(labels, "",
              "FILE: names of the classes, one a line, in place of those in the weights");
DEFINE_string(output, "", "PATH: where to write");
DEFINE_string(input_shape, "",
              "C,H,W: shape of an image, for Data layers whose source is not there");
DEFINE_bool(exif_orientation, false, "turn images as their EXIF orientation says");
DEFINE_bool(allow_missing, false,
            "keep initial values where the weight file has no blob, or one of another shape");

DEFINE_string(phase, "TEST", "TRAIN|TEST: which of the file's nets");
DEFINE_string(stage, "", "NAMES: stages of the net, joined by commas");
DEFINE_int32(level, 0, "N: level of the net");
DEFINE_int32(batch, 0, "N: images in a batch; 0: as the net says");
DEFINE_int32(iterations, 0, "N: how many batches");
DEFINE_uint64(seed, 1, "N: seed of all random numbers");

DEFINE_string(device, "auto", "auto|cpu|cuda[:N]: where to compute");
DEFINE_string(backend, "", "");  // for tests: a backend's name, or the path of a loadable one
DEFINE_string(cuda_libraries, "",
              "DIR: where cuDNN and cuBLAS lie, if the system does not know; folders with colons "
              "between them (also RESNET_CUDA_LIBRARIES)");
DEFINE_int32(threads, 0, "N: compute threads; 0: OMP_NUM_THREADS, or one a core");
DEFINE_int32(
    loader_threads, 0,
    "N: threads that prepare batches beside the compute threads; 0: the compute threads do");
DEFINE_string(bind, "auto",
              "auto|cores|none: bind threads to cores; auto: unless another run holds them");
DEFINE_string(math, "FLOAT32",
              "FLOAT32|BFLOAT16|FLOAT16: precision of the computation; a CPU needs AVX512_BF16 for "
              "BFLOAT16 and has no FLOAT16");
DEFINE_bool(deterministic, true, "the same result every time; the CPU knows no other way");
DEFINE_bool(
    tune, false,
    "time the ways to compute each convolution (CPU: direct and Winograd; GPU: cuDNN's) and "
    "take the fastest; what is found is kept in ~/.cache/resnet");
DEFINE_bool(tf32, false,
            "on a GPU: round the factors of float32 products to TF32, which is faster");

DEFINE_int64(
    memory_budget, 0,
    "MIB: copy weights late and rebuild cheap tensors in backward until the activations fit; "
    "0: off");
DEFINE_bool(fuse, true, "compute a layer at a time: slower, for comparison");
DEFINE_bool(reuse, true, "give every tensor memory of its own");
DEFINE_bool(layouts, true, "keep tensors in row-major N,C,H,W order: slower, for comparison");

DEFINE_bool(json, false, "print one JSON object instead of text");
DEFINE_bool(quiet, false, "log warnings and errors only, show no progress");
