// Between a net with blobs and named tensors: what `resnet import` and `resnet export` do to the values.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "resnet/exchange/names.h"

namespace resnet {

// How torchvision, timm and others feed a net: R,G,B from 0 to 1, (x - mean) / std. Here images are B,G,R from
// 0 to 255, and one factor is all that a Preprocessing has; so the first convolution takes 1/(255 std) over.
struct Normalisation {
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  // R,G,B
  std::array<double, 3> std = {0.229, 0.224, 0.225};
};

struct ImportOptions {
  GraphOptions graph;  // which of the net's layers count
  // Change the first convolution so that it takes B,G,R from 0 to 255 less the mean, as preprocessing then says.
  // Files that `resnet export` wrote for such input are left as they are.
  bool fold_input = true;
  bool reorder = true;  // channels of nets with shortcuts of option A (NameStyle::zeros_around)
  Normalisation input;  // what the file's net is fed, unless the file itself says it
};

// Every entry names a tensor and, in parentheses, the parameter: "fc.bias (fc1000/bias)".
struct ImportReport {
  int matched = 0;                      // tensors
  std::vector<std::string> missing;     // not in the file
  std::vector<std::string> mismatched;  // of another shape, both are named
  std::vector<std::string> unused;      // only the file has them
  std::vector<std::string> notes;       // how the net differs from the one that the names come from
  std::optional<Preprocessing> preprocessing;  // for the net as it is now
  std::optional<Normalisation> folded;         // what was folded into the first convolution

  bool complete() const { return missing.empty() && mismatched.empty() && unused.empty(); }
  std::string str() const;  // one line
};

// Replaces the blobs of `net`, whose layers must hold blobs of the right shapes, by the tensors of the file:
// under our own names (LAYER/ROLE) or those of NameStyle, with "module." or "model." in front or not.
// What the file lacks keeps its values. Throws DataError when nothing fits, ConfigError for nets that are not
// residual.
ImportReport import_tensors(const TensorFile& file, const ImportOptions& options,
                            NetParameter* net);

struct ExportOptions {
  GraphOptions graph;
  std::optional<NameStyle> style;  // nothing: our own names, every blob as it is
  bool fold_input = false;  // for input by `input.std` and the mean of the net's preprocessing
  Normalisation input;
};

// The tensors of a net with blobs, and in the metadata what import_tensors() needs to undo it. BatchNorm's sums
// are divided by their factor, and biases of convolutions go into the mean. Throws ConfigError when the net has
// no such names, or the input cannot be folded.
TensorFile export_tensors(const NetParameter& net, const ExportOptions& options);

}  // namespace resnet
