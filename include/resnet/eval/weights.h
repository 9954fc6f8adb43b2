// Between weight files and nets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "resnet/io/caffemodel.h"
#include "resnet/net/net.h"

namespace resnet {

// How a file's blobs met a net's parameters; every entry is "layer/role".
struct LoadReport {
  int matched = 0;
  std::vector<std::string> matched_names;
  std::vector<std::string> missing;     // parameters without a blob in the file
  std::vector<std::string> mismatched;  // with both shapes: "fc/weight (file (10,64), net (5,64))"
  std::vector<std::string> unused;      // layers of the file that the net does not have
  std::string str() const;              // one line, with the first names of what did not match
  std::string details() const;          // every name, one a line
};

// Copies blobs to the parameters of equal layer and index, weights and BatchNorm statistics alike. gamma and
// beta that forks of Caffe save with a BatchNorm go to the Scale layer behind it. Missing and mismatched
// ones (also a bias where the net has none) are a DataError unless allow_missing, and then keep their
// values. A file of which nothing matches is always an error. With --v=1 the log has every name.
LoadReport load_weights(Net& net, const WeightSet& weights, bool allow_missing = false);

// The net with its parameters as blobs, in Caffe's order, ready for write_caffemodel.
NetParameter with_weights(const Net& net, const std::optional<Preprocessing>& preprocessing);

}  // namespace resnet
