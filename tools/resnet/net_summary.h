// The size of a net: shapes, parameters, multiply-adds, memory, layer by layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/graph/graph.h"

namespace resnet::cli {

struct LayerSummary {
  std::string name, type;
  Shape shape;                // of the first top; rank 0 if there is none
  int64_t parameters = 0;     // learned values
  int64_t multiply_adds = 0;  // of the whole batch, forward
  int64_t bytes = 0;          // of the tops that are not in place
};

struct NetSummary {
  std::string name;
  int64_t batch = 1;  // images: the first dimension of the first input
  std::vector<LayerSummary> layers;
  LayerSummary total;

  // Of one image, as the paper counts them.
  int64_t multiply_adds_per_image() const { return total.multiply_adds / batch; }
};

// Throws ConfigError as build_graph() does.
NetSummary summarize(const NetParameter& net, const GraphOptions& options);

// A table with one line a layer and the totals.
std::string table(const NetSummary& summary);

}  // namespace resnet::cli
