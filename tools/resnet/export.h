// `resnet export`: what a format is. Each has a file of its own, export_NAME.cpp, and a line in export.cpp.
#pragma once

#include <gflags/gflags.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "numeric_check.h"
#include "resnet/backend/backend.h"

// Flags of single formats, defined in export.cpp.
DECLARE_string(names);       // safetensors
DECLARE_string(convention);  // safetensors
DECLARE_bool(fold_bn);       // onnx
DECLARE_int32(opset);        // onnx

namespace resnet::cli {

// What is exported, and where to.
struct ExportJob {
  const NetFile& file;  // the net as its file has it
  Net& net;             // the same in phase TEST, with its weights
  std::shared_ptr<Backend> backend;
  Shapes shapes;          // of the tops of Data layers; empty for deploy nets
  NetParameter weighted;  // the net with its weights as blobs and with the preprocessing
  std::optional<Preprocessing> preprocessing;  // with the names of --labels, if given
  uint64_t run_id = 0;                         // of the weight file
  std::string output;                          // the file to write; its folder exists
};

// What is said about a file that was written.
struct ExportResult {
  std::string check;               // how it was checked, "read back and run on random input"
  double largest_difference = 0;   // of any output, absolute
  double bound = 0;                // a larger one is an error
  std::vector<std::string> notes;  // what a user of the file must know, one line each
};

struct ExportFormat {
  const char* name;    // value of --format
  const char* suffix;  // ".onnx", from which the format is deduced; "": by --format only
  const char* doc;     // a few words
  // Writes job.output and checks it. Throws ConfigError for a net that the format cannot hold, DataError
  // when the file cannot be written. The caller compares the difference with the bound.
  ExportResult (*write)(const ExportJob& job);
};

// Loads `weights`, what the written file holds, in a new net of job.file and runs it and job.net on the
// same random input, which `adapt` changes for the new net if that takes another one. `relative`: the bound as
// a share of the largest output; 0: every bit must agree.
ExportResult compare_read_back(const ExportJob& job, const WeightSet& weights, double relative,
                               const std::function<Values(Values)>& adapt = {});

}  // namespace resnet::cli
