// Fields of NVIDIA's and Intel's forks of Caffe: accepted with a warning that names them, or refused by name.
#include <glog/logging.h>

#include "io/fork_lists.h"
#include "io/io_test_util.h"
#include "resnet/io/prototxt.h"

namespace resnet {
namespace {

using testing::error_of;

class Warnings : public google::LogSink {
 public:
  Warnings() { google::AddLogSink(this); }
  ~Warnings() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity severity, const char*, const char*, int,
            const google::LogMessageTime&, const char* message, size_t length) override {
    if (severity == google::GLOG_WARNING) lines.emplace_back(message, length);
  }
  bool name(const std::string& field) const {
    for (const std::string& line : lines) {
      if (line.find(" " + field + ",") != std::string::npos) return true;
    }
    return false;
  }
  std::vector<std::string> lines;
};

std::string net_error(const std::string& text) {
  return error_of<ConfigError>([&] { parse_net_prototxt(text, "a.prototxt"); });
}

std::string solver_error(const std::string& text) {
  return error_of<ConfigError>([&] { parse_solver_prototxt(text, "s.prototxt"); });
}

TEST(ForkFields, OfNvidiaThatChangeNothing) {
  const Warnings warnings;
  const NetParameter net = parse_net_prototxt(
      "name: 'n' default_forward_type: FLOAT default_conv_algos_override: '-1,-1,-1'\n"
      "global_grad_scale: 1000. eltwise_mem_sharing: true; reduce_buckets: 6,\n"
      "layer { name: 'c' forward_math: FLOAT, cudnn_math_override: 0\n"
      "  convolution_param { num_output: 3 conv_algos_override: '1,1,3' kernel_size: 5 }\n"
      "  data_param { batch_size: 7 threads: 4 parser_threads: 2 cache: true shuffle: true }\n"
      "  batch_norm_param { scale_bias: false engine: CUDNN eps: 1e-4 } }",
      "a.prototxt");
  // The fields around them are there.
  ASSERT_EQ(net.layer_size(), 1);
  EXPECT_EQ(net.layer(0).convolution_param().num_output(), 3U);
  EXPECT_EQ(net.layer(0).convolution_param().kernel_size(0), 5U);
  EXPECT_EQ(net.layer(0).data_param().batch_size(), 7U);
  EXPECT_TRUE(net.layer(0).data_param().shuffle());
  EXPECT_FLOAT_EQ(net.layer(0).batch_norm_param().eps(), 1e-4F);
  for (const char* field :
       {"NetParameter.default_forward_type", "NetParameter.default_conv_algos_override",
        "NetParameter.global_grad_scale", "NetParameter.eltwise_mem_sharing",
        "NetParameter.reduce_buckets", "LayerParameter.forward_math",
        "LayerParameter.cudnn_math_override", "ConvolutionParameter.conv_algos_override",
        "DataParameter.threads", "DataParameter.parser_threads", "DataParameter.cache",
        "BatchNormParameter.scale_bias", "BatchNormParameter.engine"}) {
    EXPECT_TRUE(warnings.name(field)) << field;
  }
  EXPECT_FALSE(warnings.name("DataParameter.shuffle"));
}

TEST(ForkFields, OfIntelThatChangeNothing) {
  const Warnings warnings;
  const NetParameter net = parse_net_prototxt(
      "engine: \"MKLDNN\" compile_net_state { bn_scale_remove: true kept_bn_layers: 'x' }\n"
      "layer { name: 'c' engine: 'MKL2017'\n"
      "  convolution_param { engine: MKL2017 num_output: 3 relu: false }\n"
      "  pooling_param { engine: MKLDNN pool: AVE avg_include_pad: true }\n"
      "  relu_param { engine: MKLDNN fuse: true negative_slope: 0.25 }\n"
      "  eltwise_param { engine: MKL2017 } batch_norm_param { filler { value: 1 } } }");
  ASSERT_EQ(net.layer_size(), 1);
  EXPECT_EQ(net.layer(0).convolution_param().num_output(), 3U);
  EXPECT_FALSE(net.layer(0).convolution_param().has_engine());
  EXPECT_EQ(net.layer(0).pooling_param().pool(), PoolingParameter::AVE);
  EXPECT_FLOAT_EQ(net.layer(0).relu_param().negative_slope(), 0.25F);
  for (const char* field :
       {"NetParameter.engine", "NetParameter.compile_net_state", "LayerParameter.engine",
        "ConvolutionParameter.engine=MKL2017", "ConvolutionParameter.relu",
        "PoolingParameter.engine=MKLDNN", "PoolingParameter.avg_include_pad", "ReLUParameter.fuse",
        "EltwiseParameter.engine", "BatchNormParameter.filler"}) {
    EXPECT_TRUE(warnings.name(field)) << field;
  }
  EXPECT_EQ(parse_solver_prototxt("max_iter: 3 disabled_update: false engine: 'CAFFE'").max_iter(),
            3);
}

TEST(ForkFields, ThatChangeResultsAreRefusedWithWhatToDo) {
  EXPECT_EQ(net_error("default_forward_type: FLOAT16\n"),
            "a.prototxt:1:1: field 'default_forward_type' of a fork of Caffe is not supported with "
            "this value: for 16 bits write math: FLOAT16 or BFLOAT16 in the solver (or --math) and "
            "remove it");
  EXPECT_EQ(
      net_error("layer {\n  batch_norm_param { scale_filler { value: 2 } }\n}"),
      "a.prototxt:2:22: field 'scale_filler' of a fork of Caffe is not supported: add a Scale "
      "layer with bias_term: true behind the BatchNorm, which takes the weights, too");
  EXPECT_NE(solver_error("net_param { layer { batch_norm_param { scale_bias: true } } }")
                .find("add a Scale layer"),
            std::string::npos);
  EXPECT_EQ(
      net_error("layer { transform_param { random_resize_param { min_size: 256 } } }"),
      "a.prototxt:1:27: field 'random_resize_param' of a fork of Caffe is not supported: write "
      "resize_shorter_min and resize_shorter_max");
  EXPECT_EQ(net_error("layer { loss_param { normalization: PRE_FIXED } }"),
            "a.prototxt:1:37: value 'PRE_FIXED' of 'normalization', of a fork of Caffe, is not "
            "supported: write normalization: NONE and the layer's loss_weight: 1 / "
            "pre_fixed_normalizer");
  EXPECT_NE(solver_error("larc: true").find("'larc' of a fork"), std::string::npos);
  EXPECT_NE(solver_error("rampup_interval: 100").find("warmup_iter"), std::string::npos);
  EXPECT_NE(solver_error("momentum_policy: 'poly'").find("\"fixed\""), std::string::npos);
  EXPECT_EQ(parse_solver_prototxt("momentum_policy: 'fixed' base_lr: 2").base_lr(), 2.0F);
  EXPECT_EQ(net_error("layer { engine }"),
            "a.prototxt:1:9: field 'engine' has no value: write engine: value");
  // Together with the other mistakes of the file, and without harm to what follows.
  const NetSource source = parse_net_source(
      "bn_stats_batch_size: 32\nlayer { quantization_param { bw_params: 8 } botom: 'x' name: 'l' "
      "}");
  EXPECT_EQ(source.problems.size(), 3U);
  EXPECT_EQ(source.net.layer(0).name(), "l");
}

// NVIDIA's nets have gamma and beta in the BatchNorm.
TEST(ForkFields, ScaleBiasBecomesAScaleLayer) {
  const Warnings warnings;
  const NetSource source = parse_net_source(
      "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }\n"
      "layer { name: 'a/bn' type: 'BatchNorm' bottom: 'a' top: 'b' include { phase: TEST }\n"
      "  batch_norm_param { scale_bias: true eps: 1e-4 } }\n"
      "layer { name: 'c' type: 'ReLU' bottom: 'b' top: 'c' }",
      "a.prototxt");
  EXPECT_TRUE(source.problems.empty());
  ASSERT_EQ(source.net.layer_size(), 4);
  const LayerParameter& scale = source.net.layer(2);
  EXPECT_EQ(scale.name(), "a/bn/scale");
  EXPECT_EQ(scale.type(), "Scale");
  EXPECT_EQ(scale.bottom(0), "b");
  EXPECT_EQ(scale.top(0), "b");
  EXPECT_TRUE(scale.scale_param().bias_term());
  EXPECT_EQ(scale.include(0).phase(), TEST);
  EXPECT_EQ(source.where(2), "a.prototxt:2");
  EXPECT_EQ(source.where(3), "a.prototxt:4");
}

// A field of the forks is none of resnet.proto, but for values of enums.
TEST(ForkFields, AreNoFieldsOfOurs) {
  const auto* pool = NetParameter::descriptor()->file();
  for (const text::ForkField& field : text::fork_fields()) {
    const size_t dot = field.name.find('.'), equals = field.name.find('=');
    const auto* type = pool->FindMessageTypeByName(std::string(field.name.substr(0, dot)));
    ASSERT_NE(type, nullptr) << field.name;
    const auto* known = type->FindFieldByName(std::string(
        field.name.substr(dot + 1, equals == std::string_view::npos ? equals : equals - dot - 1)));
    EXPECT_EQ(known != nullptr, equals != std::string_view::npos) << field.name;
    EXPECT_TRUE(field.harmless == "-" || !field.reason.empty()) << field.name;
    EXPECT_EQ(field.harmless.empty(), field.instead.empty()) << field.name;
  }
}

}  // namespace
}  // namespace resnet
