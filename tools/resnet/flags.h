// Flags that several commands take. A flag of one command is defined in that command's file.
#pragma once

#include <gflags/gflags.h>

// Files.
DECLARE_string(model);
DECLARE_string(solver);
DECLARE_string(weights);
DECLARE_string(source);
DECLARE_string(list);
DECLARE_string(labels);
DECLARE_string(output);
DECLARE_string(input_shape);
DECLARE_bool(exif_orientation);
DECLARE_bool(allow_missing);

// How much.
DECLARE_string(phase);
DECLARE_string(stage);
DECLARE_int32(level);
DECLARE_int32(batch);
DECLARE_int32(iterations);
DECLARE_uint64(seed);

// Device, threads and precision: every command that computes.
DECLARE_string(device);
DECLARE_string(backend);
DECLARE_string(cuda_libraries);
DECLARE_int32(threads);
DECLARE_int32(loader_threads);
DECLARE_string(bind);
DECLARE_string(math);
DECLARE_bool(deterministic);
DECLARE_bool(tune);
DECLARE_bool(tf32);

// How a net is planned.
DECLARE_int64(memory_budget);
DECLARE_bool(fuse);
DECLARE_bool(reuse);
DECLARE_bool(layouts);

// Output.
DECLARE_bool(json);
DECLARE_bool(quiet);
DECLARE_string(log_dir);  // glog's
