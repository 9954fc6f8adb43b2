// What Caffe itself computed for single layers (RESNET_SHARED_DIR/caffe/ops): prototxt to ops by the real layers, ops
// by each backend, forward and backward.
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "backends_under_test.h"
#include "google/protobuf/struct.pb.h"
#include "resnet/base/error.h"
#include "resnet/layers/layer.h"
#include "runner.h"

namespace resnet::testing {
namespace {

constexpr double kTolerance = 1e-5;

std::string folder() {
  const char* shared = std::getenv("RESNET_SHARED_DIR");
  return std::string(shared != nullptr ? shared : RESNET_SHARED_DIR) + "/caffe/ops";
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The vectors, by what they are and the blob they belong to: "top_diff conv_3x3".
class Vectors {
 public:
  Vectors() {
    google::protobuf::Struct manifest;
    const auto status = google::protobuf::util::JsonStringToMessage(
        read_text(folder() + "/manifest.json"), &manifest);
    if (!status.ok()) throw DataError("manifest.json: " + status.ToString());
    for (const auto& value : manifest.fields().at("tensors").list_value().values()) {
      const auto& entry = value.struct_value().fields();
      const auto text = [&](const char* key) { return entry.at(key).string_value(); };
      std::vector<int64_t> dims;
      for (const auto& d : entry.at("shape").list_value().values()) {
        dims.push_back(static_cast<int64_t>(d.number_value()));
      }
      entries_[text("what") + " " + text("blob")] = {Shape(dims), text("file")};
    }
  }
  bool has(const std::string& what, const std::string& blob) const {
    return entries_.count(what + " " + blob) > 0;
  }
  HostTensor get(const std::string& what, const std::string& blob) const {
    const auto& [shape, file] = entries_.at(what + " " + blob);
    HostTensor t({shape, DType::f32, Layout::nchw()});
    const std::string bytes = read_text(folder() + "/" + file);
    if (static_cast<int64_t>(bytes.size()) != t.desc().bytes())
      throw DataError(file + ": bad size");
    std::memcpy(t.view().data, bytes.data(), bytes.size());
    return t;
  }

 private:
  std::map<std::string, std::pair<Shape, std::string>> entries_;
};

// A layer's ops, as the layer builds them, with Caffe's blobs as values.
class Layer final : public LayerBuilder {
 public:
  struct Node {
    Op op;
    std::vector<ValueId> in, out;
  };

  Layer(const LayerParameter& param, const Vectors& vectors) : param_(param), vectors_(vectors) {
    for (const std::string& bottom : param.bottom()) add(vectors.get("input", bottom));
    find_layer(param.type())->build(*this);
  }

  const LayerParameter& param() const override { return param_; }
  Phase phase() const override { return TRAIN; }
  int num_inputs() const override { return param_.bottom_size(); }
  int num_outputs() const override { return param_.top_size(); }
  ValueId input(int i) const override { return i; }
  const TensorDesc& desc(ValueId value) const override { return values_[index(value)].desc(); }
  ValueId weight(std::string_view, const Shape&, const FillerParameter&) override { return blob(); }
  ValueId state(std::string_view, const Shape&) override { return blob(); }
  std::vector<ValueId> emit(const Op& op, const std::vector<ValueId>& in) override {
    std::vector<TensorDesc> descs;
    for (ValueId v : in) descs.push_back(desc(v));
    std::vector<ValueId> out;
    for (const TensorDesc& d : infer(op, descs)) out.push_back(add(HostTensor(d)));
    emit_into(op, in, out);
    return out;
  }
  void emit_into(const Op& op, const std::vector<ValueId>& in,
                 const std::vector<ValueId>& out) override {
    nodes_.push_back({op, in, out});
  }
  void output(int, ValueId value) override { top_ = value; }
  void loss(int, ValueId value, double) override { top_ = value; }
  void metric(int, ValueId value) override { top_ = value; }
  ValueId clock() override { throw InternalError("no case draws random numbers"); }
  uint32_t layer_id() const override { return 0; }

  const std::vector<ValueId>& blobs() const { return blobs_; }
  ValueId top() const { return top_; }
  const HostTensor& value(ValueId v) const { return values_[index(v)]; }

  void forward(Backend& backend) {
    for (const Node& node : nodes_) {
      Runner runner = runner_of(backend, node);
      std::vector<HostTensor> results = runner.run(Pass::forward);
      for (size_t i = 0; i < results.size(); ++i) {
        if (!results[i].empty()) values_[index(node.out[i])] = std::move(results[i]);
      }
    }
  }

  // Gradients of all values, given that of the top.
  std::map<ValueId, HostTensor> backward(Backend& backend, HostTensor top_diff) const {
    std::map<ValueId, HostTensor> diffs;
    diffs[top_] = std::move(top_diff);
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
      if (diffs.count(node->out[0]) > 0) backward(backend, *node, diffs);
    }
    return diffs;
  }

 private:
  static size_t index(ValueId v) { return static_cast<size_t>(v); }
  ValueId add(HostTensor t) {
    values_.push_back(std::move(t));
    return static_cast<ValueId>(values_.size()) - 1;
  }
  ValueId blob() {
    const std::string name = param_.name() + "." + std::to_string(blobs_.size());
    blobs_.push_back(add(vectors_.get("param_before", name)));
    return blobs_.back();
  }
  Runner runner_of(Backend& backend, const Node& node) const {
    std::vector<HostTensor> inputs;
    for (ValueId v : node.in) inputs.push_back(copy_of(value(v)));
    Runner runner(backend, node.op, std::move(inputs), param_.name());
    for (size_t i = 0; i < node.out.size() && updates_outputs(node.op); ++i) {
      runner.set_initial(i, copy_of(value(node.out[i])));
    }
    return runner;
  }
  void backward(Backend& backend, const Node& node, std::map<ValueId, HostTensor>& diffs) const {
    if (const auto* sum = std::get_if<Eltwise>(&node.op); sum && sum->kind == Eltwise::Kind::sum) {
      for (size_t i = 0; i < node.in.size(); ++i) {
        std::vector<HostTensor> diff;
        diff.push_back(copy_of(diffs.at(node.out[0])));
        const Eltwise scaled{.coeff = {sum->coeff.empty() ? 1.0 : sum->coeff[i]}};
        diffs[node.in[i]] = std::move(
            Runner(backend, scaled, std::move(diff), param_.name()).run(Pass::forward)[0]);
      }
      return;
    }
    Runner runner = runner_of(backend, node);
    runner.set_diff_output(0, copy_of(diffs.at(node.out[0])));
    for (Pass pass : {Pass::backward, Pass::backward_data, Pass::backward_weights}) {
      const auto operands = signature(node.op, pass, static_cast<int>(node.in.size()));
      if (!operands) continue;
      std::vector<HostTensor> results = runner.run(pass);
      for (size_t i = 0; i < results.size(); ++i) {
        diffs[node.in[static_cast<size_t>(operands->out[i].index)]] = std::move(results[i]);
      }
    }
  }

  const LayerParameter& param_;
  const Vectors& vectors_;
  std::vector<HostTensor> values_;
  std::vector<ValueId> blobs_;
  std::vector<Node> nodes_;
  ValueId top_ = -1;
};

// A loss or metric is {value, weight} here and the value alone in Caffe.
HostTensor as_caffe(const HostTensor& top, const Shape& shape) {
  HostTensor t({shape, DType::f32, Layout::nchw()});
  for (int64_t i = 0; i < t.count(); ++i) t.set(i, top[i]);
  return t;
}

// Compares one layer; returns the number of compared tensors.
int check(const LayerParameter& param, const Vectors& vectors, Backend& backend) {
  int compared = 0;
  // One value a channel: gradients of 1 / sqrt(eps) times the usual size cancel to zero.
  const double scale = param.name() == "bn_m1" ? 316 : 1e-6;
  const auto expect_close = [&](const HostTensor& actual, const HostTensor& expected,
                                const std::string& what) {
    EXPECT_TRUE(close(actual, expected, kTolerance, scale)) << what;
    ++compared;
  };
  Layer layer(param, vectors);
  layer.forward(backend);
  const HostTensor top = vectors.get("top", param.top(0));
  expect_close(as_caffe(layer.value(layer.top()), top.desc().shape), top, "top");
  for (size_t i = 0; i < layer.blobs().size(); ++i) {
    const std::string blob = param.name() + "." + std::to_string(i);
    expect_close(layer.value(layer.blobs()[i]), vectors.get("param_after_forward", blob), blob);
  }
  if (param.type() == "Accuracy") return compared;

  const auto diffs = layer.backward(backend, vectors.get("top_diff", param.top(0)));
  for (int i = 0; i < param.bottom_size(); ++i) {
    if (!vectors.has("bottom_diff", param.bottom(i)) || diffs.count(i) == 0) continue;
    expect_close(diffs.at(i), vectors.get("bottom_diff", param.bottom(i)),
                 "gradient of " + param.bottom(i));
  }
  for (size_t i = 0; i < layer.blobs().size(); ++i) {
    const std::string blob = param.name() + "." + std::to_string(i);
    if (!vectors.has("param_diff", blob)) continue;
    expect_close(diffs.at(layer.blobs()[i]), vectors.get("param_diff", blob),
                 "gradient of " + blob);
  }
  return compared;
}

class CaffeOps : public ::testing::TestWithParam<std::string> {};

TEST_P(CaffeOps, AreReproduced) {
  if (!std::filesystem::exists(folder())) GTEST_SKIP() << "no reference data in " << folder();
  const std::unique_ptr<Backend> backend = make_backend(GetParam());
  const Vectors vectors;
  NetParameter net;
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString(read_text(folder() + "/ops.prototxt"), &net));
  int layers = 0, compared = 0;
  for (const LayerParameter& param : net.layer()) {
    if (is_data_layer(param.type())) continue;
    SCOPED_TRACE(param.name());
    compared += check(param, vectors, *backend);
    ++layers;
  }
  EXPECT_EQ(layers, 58);
  RecordProperty("tensors", compared);
  std::printf("%d layers, %d tensors compared with Caffe's on %s\n", layers, compared,
              GetParam().c_str());
}

INSTANTIATE_TEST_SUITE_P(Backends, CaffeOps, ::testing::Values("reference", "onednn"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace resnet::testing
