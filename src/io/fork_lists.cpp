#include "io/fork_lists.h"

#include <algorithm>
#include <cctype>

namespace resnet::text {
namespace {

constexpr std::string_view kNone = "-";  // no value is harmless

constexpr std::string_view kEngine = "--device chooses the implementation";
constexpr std::string_view kCudnn = "cuDNN's algorithms are chosen here (--tune)";
constexpr std::string_view kSpeed = "it concerns speed only";
constexpr std::string_view kOneProcess = "one process trains";
constexpr std::string_view kFloat = "float32 is what is computed in";
constexpr std::string_view kMath =
    "for 16 bits write math: FLOAT16 or BFLOAT16 in the solver (or --math) and "
    "remove it";
constexpr std::string_view kOff = "it is off";
constexpr std::string_view kOwnScale =
    "math: FLOAT16 finds its own scale of the loss, which is divided out again";
constexpr std::string_view kBehind =
    "gamma and beta are those of the Scale layer behind; add one if there is none";
constexpr std::string_view kScale =
    "add a Scale layer with bias_term: true behind the BatchNorm, which takes the weights, too";
constexpr std::string_view kSeed = "the solver's random_seed decides about all random numbers";
constexpr std::string_view kLarc = "it counts with larc: true only";
constexpr std::string_view kPolicy = "it counts with another policy only";
constexpr std::string_view kFixed = "only \"fixed\" is supported";
constexpr std::string_view kDetection = "it belongs to detection";
constexpr std::string_view kResize = "write resize_shorter_min and resize_shorter_max";
constexpr std::string_view kArea = "write crop_area_min, crop_area_max and crop_aspect";
constexpr std::string_view kSquare = "only square crops are supported: write crop_size";
constexpr std::string_view kInterpolation = "images are scaled as docs/data.md says: remove it";
constexpr std::string_view kUnsupported = "it is not supported: remove it";
constexpr std::string_view kRelu = "add a ReLU layer behind";
constexpr std::string_view kGroup =
    "write group_size in the batch_norm_param of each BatchNorm layer";

const std::vector<ForkField>& table() {
  static const std::vector<ForkField> fields = {
      // NVIDIA's
      {"NetParameter.default_forward_type", "FLOAT", kFloat, kMath},
      {"NetParameter.default_backward_type", "FLOAT", kFloat, kMath},
      {"NetParameter.default_forward_math", "FLOAT", kFloat, kMath},
      {"NetParameter.default_backward_math", "FLOAT", kFloat, kMath},
      {"NetParameter.global_grad_scale", "", kOwnScale, ""},
      {"NetParameter.global_grad_scale_adaptive", "", kOwnScale, ""},
      {"NetParameter.default_conv_algos_override", "", kCudnn, ""},
      {"NetParameter.default_cudnn_math_override", "", kCudnn, ""},
      {"NetParameter.reduce_buckets", "", kSpeed, ""},
      {"NetParameter.eltwise_mem_sharing", "", "memory is planned here", ""},
      {"LayerParameter.forward_type", "FLOAT", kFloat, kMath},
      {"LayerParameter.backward_type", "FLOAT", kFloat, kMath},
      {"LayerParameter.forward_math", "FLOAT", kFloat, kMath},
      {"LayerParameter.backward_math", "FLOAT", kFloat, kMath},
      {"LayerParameter.cudnn_math_override", "", kCudnn, ""},
      {"LayerParameter.debug", "", "this program has its own log", ""},
      {"ConvolutionParameter.cudnn_convolution_algo_seeker", "", kCudnn, ""},
      {"ConvolutionParameter.conv_algos_override", "", kCudnn, ""},
      {kScaleBias, "false", kOff, kScale},
      {"BatchNormParameter.scale_filler", kNone, "", kScale},
      {"DataParameter.threads", "", "--loader_threads sets the threads", ""},
      {"DataParameter.parser_threads", "", "--loader_threads sets the threads", ""},
      {"DataParameter.cache", "", kSpeed, ""},
      {"DataParameter.precache", "", kSpeed, ""},
      {"DropoutParameter.engine", "", kEngine, ""},
      {"DropoutParameter.random_seed", "", kSeed, ""},
      {"PoolingParameter.torch_pooling", "false", kOff, "write round_mode: FLOOR"},
      {"TransformationParameter.use_gpu_transform", "", kSpeed, ""},
      {"TransformationParameter.forward_packing", "", "layouts are chosen here", ""},
      {"TransformationParameter.random_seed", "", kSeed, ""},
      {"TransformationParameter.display", "", "`resnet show` draws what a net is fed", ""},
      {"TransformationParameter.img_rand_resize_lower", "0", kOff, kResize},
      {"TransformationParameter.img_rand_resize_upper", "0", kOff, kResize},
      {"TransformationParameter.rand_resize_ratio_lower", "0", kOff, kArea},
      {"TransformationParameter.rand_resize_ratio_upper", "0", kOff, kArea},
      {"TransformationParameter.vertical_stretch_lower", "1|1.0", kOff, kArea},
      {"TransformationParameter.vertical_stretch_upper", "1|1.0", kOff, kArea},
      {"TransformationParameter.horizontal_stretch_lower", "1|1.0", kOff, kArea},
      {"TransformationParameter.horizontal_stretch_upper", "1|1.0", kOff, kArea},
      {"TransformationParameter.interpolation_algo_down", kNone, "", kInterpolation},
      {"TransformationParameter.interpolation_algo_up", kNone, "", kInterpolation},
      {"TransformationParameter.allow_upscale", kNone, "", kInterpolation},
      {"SolverParameter.solver_data_type", "FLOAT", kFloat, kMath},
      {"SolverParameter.store_blobs_in_old_format", "", "snapshots hold float32", ""},
      {"SolverParameter.test_and_snapshot_last_epochs", "0", kOff,
       "write snapshot and test_interval"},
      {"SolverParameter.rampup_interval", "0", kOff,
       "write warmup_iter (the rate rises linearly there)"},
      {"SolverParameter.rampup_lr", kNone, "", "write warmup_start_lr"},
      {"SolverParameter.momentum_policy", "fixed", "it is the only one", kFixed},
      {"SolverParameter.max_momentum", "", kPolicy, ""},
      {"SolverParameter.momentum_power", "", kPolicy, ""},
      {"SolverParameter.weight_decay_policy", "fixed", "it is the only one", kFixed},
      {"SolverParameter.weight_decay_power", "", kPolicy, ""},
      {"SolverParameter.max_weight_decay", "", kPolicy, ""},
      {"SolverParameter.larc", "false", kOff, kUnsupported},
      {"SolverParameter.larc_policy", "", kLarc, ""},
      {"SolverParameter.larc_eta", "", kLarc, ""},
      {"SolverParameter.larc_turbo", "", kLarc, ""},
      // Both
      {"BatchNormParameter.engine", "", kEngine, ""},
      {"BatchNormParameter.bias_filler", "", kBehind, ""},
      {"TransformationParameter.crop_h", "0", kOff, kSquare},
      {"TransformationParameter.crop_w", "0", kOff, kSquare},
      {"TransformationParameter.resize_param", kNone, "", kResize},
      {"TransformationParameter.noise_param", kNone, "", kUnsupported},
      {"TransformationParameter.distort_param", kNone, "", kUnsupported},
      {"TransformationParameter.expand_param", kNone, "", kUnsupported},
      {"TransformationParameter.emit_constraint", kNone, "", kUnsupported},
      {"SolverParameter.eval_type", "classification", "it is what is measured", kUnsupported},
      {"SolverParameter.ap_version", "", kDetection, ""},
      {"SolverParameter.show_per_class_result", "", kDetection, ""},
      {"SolverParameter.plateau_winsize", kNone, "",
       "write plateau_window and plateau_patience, which follow the error instead of the loss"},
      // Intel's
      {"NetParameter.engine", "", kEngine, ""},
      {"NetParameter.compile_net_state", "", "layers are merged here as `resnet plan` shows", ""},
      {"NetParameter.bn_stats_batch_size", "0", kOff, kGroup},
      {"NetParameter.multinode", "", kOneProcess, ""},
      {"LayerParameter.engine", "", kEngine, ""},
      {"LayerParameter.multinode", "", kOneProcess, ""},
      {"LayerParameter.mn_activation_param", "", kOneProcess, ""},
      {"LayerParameter.mn_grad_compress_param", "", kOneProcess, ""},
      {"LayerParameter.split_param", "", kEngine, ""},
      {"LayerParameter.quantization_param", kNone, "",
       "integer arithmetic is not supported: remove it"},
      {"BatchNormParameter.use_weight_bias", "", kBehind, ""},
      {"BatchNormParameter.bias_term", "", kBehind, ""},
      {"BatchNormParameter.filler", "", kBehind, ""},
      {"BatchNormParameter.stats_batch_size", "0", kOff, "write group_size"},
      {"BatchNormParameter.relu", "false", kOff, kRelu},
      {"ConcatParameter.engine", "", kEngine, ""},
      {"ConcatParameter.per_fla_fuse", "", kSpeed, ""},
      {"ConvolutionParameter.engine=MKL2017", "", kEngine, ""},
      {"ConvolutionParameter.engine=MKLDNN", "", kEngine, ""},
      {"ConvolutionParameter.conv_algorithm", "", kSpeed, ""},
      {"ConvolutionParameter.relu", "false", kOff, kRelu},
      {"ConvolutionParameter.negative_slope", "0|0.0", kOff, kRelu},
      {"ConvolutionParameter.fusion_type", "NONE_FUSION", kOff, "add an Eltwise layer"},
      {"EltwiseParameter.engine", "", kEngine, ""},
      {"FillerParameter.scale", "1|1.0", kOff, "use a gaussian filler with the std that is meant"},
      {"InnerProductParameter.engine", "", kEngine, ""},
      {"InnerProductParameter.relu", "false", kOff, kRelu},
      {"InnerProductParameter.negative_slope", "0|0.0", kOff, kRelu},
      {"LossParameter.normalization=PRE_FIXED", kNone, "",
       "write normalization: NONE and the layer's loss_weight: 1 / pre_fixed_normalizer"},
      {"LossParameter.pre_fixed_normalizer", "1|1.0", kOff,
       "write normalization: NONE and the layer's loss_weight: 1 / pre_fixed_normalizer"},
      {"PoolingParameter.engine=MKL2017", "", kEngine, ""},
      {"PoolingParameter.engine=MKLDNN", "", kEngine, ""},
      {"PoolingParameter.avg_include_pad", "true", "padding counts",
       "padding counts here: remove it"},
      {"PoolingParameter.axis", "1", "pooling is over height and width", kUnsupported},
      {"ReLUParameter.engine=MKL2017", "", kEngine, ""},
      {"ReLUParameter.engine=MKLDNN", "", kEngine, ""},
      {"ReLUParameter.fuse", "", kSpeed, ""},
      {"TransformationParameter.random_resize_param", kNone, "", kResize},
      {"TransformationParameter.random_aspect_ratio_param", kNone, "", kArea},
      {"TransformationParameter.flow", "false", kOff, kUnsupported},
      {"TransformationParameter.bgr2rgb", "false", kOff, kUnsupported},
      {"SolverParameter.engine", "", kEngine, ""},
      {"SolverParameter.disabled_update", "false", kOff, kUnsupported},
      {"SolverParameter.local_lr_auto", "false", kOff, kUnsupported},
      {"SolverParameter.local_gw_ratio", "", "it counts with local_lr_auto: true only", ""},
      {"SolverParameter.stagelr", kNone, "",
       "write lr_policy: \"multistep\" with stepvalue and gamma"},
      {"SolverParameter.stageiter", kNone, "",
       "write lr_policy: \"multistep\" with stepvalue and gamma"},
      {"SolverParameter.test_offset", "0", kOff, "write test_initialization: false"},
  };
  return fields;
}

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

const std::vector<ForkField>& fork_fields() { return table(); }

const ForkField* fork_field(std::string_view name) {
  for (const ForkField& field : table()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

bool is_harmless(const ForkField& field, std::string_view value) {
  if (field.harmless.empty()) return true;
  if (field.harmless == kNone) return false;
  for (std::string_view rest = field.harmless; !rest.empty();) {
    const size_t bar = rest.find('|');
    if (same_letters(rest.substr(0, bar), value)) return true;
    rest = bar == std::string_view::npos ? std::string_view{} : rest.substr(bar + 1);
  }
  return false;
}

}  // namespace resnet::text
