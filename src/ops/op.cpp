#include "resnet/ops/op.h"

#include <type_traits>

#include "ops/rules.h"
#include "resnet/base/error.h"

namespace resnet {
namespace rules {

void require(bool ok, const char* op, const std::string& fact) {
  if (!ok) throw ConfigError(std::string(op) + ": " + fact);
}

void check_inputs(const char* op, const Descs& in, size_t expected) {
  require(in.size() == expected, op,
          "expects " + std::to_string(expected) + " inputs, got " + std::to_string(in.size()));
}

void check_shape(const char* op, const char* what, const Shape& actual, const Shape& expected) {
  require(actual == expected, op,
          std::string(what) + " has shape " + actual.str() + ", expected " + expected.str());
}

TensorDesc like(const TensorDesc& src, const Shape& shape) {
  return {shape, src.dtype, Layout::any()};
}

DType accumulator(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

TensorDesc mask_of(const TensorDesc& dst) {
  return {Shape{(dst.count() + 7) / 8}, DType::u8, Layout::any()};
}

std::string pair_text(char name, const Pair& p) {
  return name + std::to_string(p[0]) + "x" + std::to_string(p[1]);
}

Signature forward_signature(int n, int m) {
  Signature s;
  for (int i = 0; i < n; ++i) s.in.push_back(input(i));
  for (int i = 0; i < m; ++i) s.out.push_back(output(i));
  return s;
}

std::optional<Signature> forward_only(Pass pass, int n, int m) {
  if (pass != Pass::forward) return std::nullopt;
  return forward_signature(n, m);
}

}  // namespace rules

namespace {

// Indexed by Op::index().
constexpr const char* kNames[] = {
    "Convolution", "InnerProduct",     "BatchNorm",   "UpdateStatistics", "Scale",
    "Relu",        "Eltwise",          "Pooling",     "Softmax",          "SoftmaxLoss",
    "CountLabels", "Accuracy",         "Dropout",     "Concat",           "Slice",
    "Reshape",     "IdentityShortcut", "Reorder",     "FoldBatchNorm",    "Fill",
    "SgdUpdate",   "ScaleBy",          "SquaredNorm", "RecordBatch",      "PrepareUpdate",
    "DrawBatch",   "NormaliseImages"};
static_assert(std::size(kNames) == std::variant_size_v<Op>);

TensorDesc operand_desc(const Op& op, const Operand& operand, const rules::Descs& in,
                        const rules::Descs& out) {
  const auto i = static_cast<size_t>(operand.index);
  switch (operand.kind) {
    case Operand::Kind::input:
      return in[i];
    case Operand::Kind::diff_input: {
      TensorDesc desc = rules::like(in[i], in[i].shape);
      // 16-bit weights are working copies: their gradient is one of sums over a batch.
      if (std::holds_alternative<Convolution>(op) && i > 0)
        desc.dtype = rules::accumulator(desc.dtype);
      return desc;
    }
    case Operand::Kind::output:
    case Operand::Kind::diff_output:
      return out[i];
  }
  throw InternalError("unknown kind of operand");
}

std::string list_text(const rules::Descs& descs) {
  std::string text;
  for (const TensorDesc& desc : descs) text += (text.empty() ? "" : ", ") + desc.str();
  return text;
}

}  // namespace

const char* name_of(Pass p) {
  switch (p) {
    case Pass::forward:
      return "forward";
    case Pass::backward:
      return "backward";
    case Pass::backward_data:
      return "backward_data";
    case Pass::backward_weights:
      return "backward_weights";
    case Pass::recompute:
      return "recompute";
  }
  throw InternalError("unknown pass");
}

const char* name_of(const Op& op) { return kNames[op.index()]; }

std::string describe(const Op& op) {
  return std::visit([](const auto& o) { return rules::describe(o); }, op);
}

std::vector<TensorDesc> infer(const Op& op, const std::vector<TensorDesc>& in) {
  return std::visit([&](const auto& o) { return rules::infer(o, in); }, op);
}

std::optional<Signature> signature(const Op& op, Pass pass, int forward_inputs) {
  return std::visit([&](const auto& o) { return rules::signature(o, pass, forward_inputs); }, op);
}

int64_t multiply_adds(const Op& op, const std::vector<TensorDesc>& in) {
  if (std::holds_alternative<Convolution>(op)) {
    const Shape& weights = in.at(1).shape;  // (O, C/groups, kh, kw)
    return infer(op, in)[0].count() * weights.count_from(1);
  }
  if (const auto* inner = std::get_if<InnerProduct>(&op)) {
    return in.at(0).count() * inner->num_output;
  }
  return 0;
}

std::string OpDesc::str() const {
  std::string text = std::string(name_of(op)) + " " + name_of(pass);
  const std::string attributes = describe(op);
  if (!attributes.empty()) text += " " + attributes;
  text += ": " + list_text(in) + " -> " + list_text(out);
  for (size_t i = 0; i < out.size(); ++i) {
    if (accumulates(i)) text += " +=" + std::to_string(i);
  }
  return text;
}

OpDesc describe_pass(const Op& op, Pass pass, const std::vector<TensorDesc>& forward_in) {
  const auto operands = signature(op, pass, static_cast<int>(forward_in.size()));
  if (!operands) {
    throw InternalError(std::string(name_of(op)) + " has no pass " + name_of(pass));
  }
  const std::vector<TensorDesc> forward_out = infer(op, forward_in);
  OpDesc desc{op, pass, {}, {}, {}};
  for (const Operand& o : operands->in) {
    desc.in.push_back(operand_desc(op, o, forward_in, forward_out));
  }
  for (const Operand& o : operands->out) {
    TensorDesc out = operand_desc(op, o, forward_in, forward_out);
    out.layout = Layout::any();
    desc.out.push_back(out);
  }
  if (pass == Pass::backward_data) {
    std::visit(
        [](auto& o) {
          if constexpr (requires { o.bias; }) o.bias = false;
        },
        desc.op);
  }
  return desc;
}

}  // namespace resnet
