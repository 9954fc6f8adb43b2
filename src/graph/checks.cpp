#include "graph/checks.h"

#include <algorithm>

namespace resnet {
namespace {

// "2 tops", "1 top"
std::string counted(int n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

void check_arity(std::vector<std::string>& problems, std::string_view type, int count, Arity arity,
                 const std::string& what) {
  if (count >= arity.min && count <= arity.max) return;
  std::string wanted = std::to_string(arity.min);
  if (arity.max == 0) {
    wanted = "none";
  } else if (arity.max > arity.min) {
    wanted = count < arity.min ? "at least " + wanted : "at most " + std::to_string(arity.max);
  }
  problems.push_back("has " + counted(count, what) + "; " + std::string(type) + " takes " + wanted);
}

void check_per(std::vector<std::string>& problems, int values, const std::string& field, int count,
               const std::string& what) {
  if (values == 0 || values == count) return;
  problems.push_back("has " + counted(values, field + " value") + " for " + counted(count, what) +
                     "; give one per " + what + " or none");
}

std::string unknown_type(const std::string& type) {
  if (type.empty()) return "has no type; docs/layers.md lists the types";
  const std::string near = nearest_layer(type);
  return "unknown layer type " + quoted(type) +
         (near.empty() ? "; docs/layers.md lists the types"
                       : "; did you mean " + quoted(near) + "?");
}

}  // namespace

void check_size(const Shape& shape) {
  constexpr int64_t kMaxElements = int64_t{1} << 48;
  require(shape.count() <= kMaxElements,
          "a blob of the shape " + shape.str() + " has more than 2^48 elements; check the sizes");
}

std::vector<std::string> check_layer(const LayerParameter& layer) {
  std::vector<std::string> problems;
  if (layer.name().empty()) {
    problems.push_back("has no name; give it one, since weights are stored by layer name");
  }
  if (layer.include_size() > 0 && layer.exclude_size() > 0) {
    problems.push_back("has both include and exclude rules; keep one kind");
  }
  const LayerType* type = find_layer(layer.type());
  if (type == nullptr) {
    problems.push_back(unknown_type(layer.type()));
    return problems;
  }
  const int bottoms = layer.bottom_size(), tops = layer.top_size();
  check_arity(problems, type->name, bottoms, type->inputs, "bottom");
  check_arity(problems, type->name, tops, type->outputs, "top");
  check_per(problems, layer.propagate_down_size(), "propagate_down", bottoms, "bottom");
  check_per(problems, layer.loss_weight_size(), "loss_weight", std::max(1, tops), "top");
  return problems;
}

}  // namespace resnet
