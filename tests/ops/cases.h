// The table of op cases. One entry is enough to have an op tested for equality with `reference`, checked by
// numerical differentiation, timed, and shown in the support matrix.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host_tensor.h"
#include "resnet/ops/op.h"

namespace resnet::testing {

struct Case {
  std::string name;  // unique; letters, digits, _
  Op op;
  // Shapes of the values that the op works on (src; all of them for Eltwise and Concat; scores and, if unusual, label).
  // Those of weights, statistics, labels .. follow from them.
  std::vector<Shape> src;
  // Forward inputs that are constant: {input, value}.
  std::vector<std::pair<int, double>> constants = {};
  bool ties = false;               // src takes few different values
  double tolerance = 1e-5;         // relative error in norm
  double scale = 1e-6;             // see close()
  double mean = 0, deviation = 1;  // of src
};

// The hand-written cases: small, with odd sizes and tails.
const std::vector<Case>& small_cases();
// One case a line of shapes_<net>.txt, named <net>_<line>. Throws DataError on a malformed line.
std::vector<Case> net_cases(const std::string& net, int64_t batch);
// Small cases and the two nets with batches that suit a test.
const std::vector<Case>& all_cases();

// Shapes and types of all forward inputs, layout nchw. `type` is that of src. With 16-bit types, parameters
// and statistics of a lower rank than src are f32.
std::vector<TensorDesc> forward_inputs(const Case& c, DType type);
// Reproducible values of forward input i.
HostTensor forward_input(const Case& c, size_t i, DType type);
// What outputs that are both read and written hold before.
HostTensor initial_output(const std::string& name, size_t i, const TensorDesc& desc);
// Over ten million multiply-adds a pass, a second of plain loops: tests that repeat passes do so less often.
bool is_large(const Case& c);
// Whether the op changes its outputs in place (SgdUpdate, UpdateStatistics).
bool updates_outputs(const Op& op);

}  // namespace resnet::testing
