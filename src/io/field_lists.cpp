#include "io/field_lists.h"

namespace resnet::text {
namespace {

struct Entry {
  std::string_view name;
  std::string_view text;
};

constexpr std::string_view kDebug = "this program has its own log";
constexpr std::string_view kEngine = "--device chooses the implementation";
constexpr std::string_view kTransform = "Caffe moved it to transform_param: write it there";
constexpr std::string_view kAdaptive = "only SGD and Nesterov are supported: remove it";
constexpr std::string_view kFile = "it belongs to binary files: remove it";

constexpr Entry kAccepted[] = {
    {"NetParameter.force_backward", "gradients are computed where they are needed"},
    {"NetParameter.debug_info", kDebug},
    {"ParamSpec.share_mode", "parameters cannot be shared"},
    {"SolverParameter.debug_info", kDebug},
    {"SolverParameter.test_compute_loss", "tests report every loss that the net has"},
    {"SolverParameter.layer_wise_reduce", "it concerns speed only"},
    {"SolverParameter.snapshot_diff", "gradients are not stored in snapshots"},
    {"ConvolutionParameter.engine", kEngine},
    {"ConvolutionParameter.force_nd_im2col", kEngine},
    {"PoolingParameter.engine", kEngine},
    {"ReLUParameter.engine", kEngine},
    {"SoftmaxParameter.engine", kEngine},
    {"DataParameter.prefetch", "--loader_threads sets the work done ahead"},
    {"EltwiseParameter.stable_prod_grad", "the stable form is always used"},
};

constexpr Entry kRefused[] = {
    {"NetParameter.layers",
     "this is the old layer format (V1), which is not supported: convert the file with Caffe's "
     "upgrade_net_proto_text, then use 'layer'"},
    {"NetParameter.file_header", kFile},
    {"NetParameter.file_checksum", kFile},
    {"NetParameter.training", kFile},
    {"LayerParameter.blobs", "weights belong to a .caffemodel file: remove it"},
    {"FillerParameter.sparse", "sparse filling is not supported: remove it"},
    {"DataParameter.rand_skip",
     "it would make the data order depend on chance: use shuffle, record_begin or random_seed"},
    {"DataParameter.scale", kTransform},
    {"DataParameter.mean_file", kTransform},
    {"DataParameter.crop_size", kTransform},
    {"DataParameter.mirror", kTransform},
    {"DataParameter.backend=LEVELDB", "convert the database to LMDB"},
    {"PoolingParameter.pool=STOCHASTIC", "only MAX and AVE are supported"},
    {"SolverParameter.snapshot_format=HDF5", "only BINARYPROTO is supported"},
    {"SolverParameter.solver_type=ADAGRAD", kAdaptive},
    {"SolverParameter.solver_type=RMSPROP", kAdaptive},
    {"SolverParameter.solver_type=ADADELTA", kAdaptive},
    {"SolverParameter.solver_type=ADAM", kAdaptive},
    {"SolverParameter.momentum2", kAdaptive},
    {"SolverParameter.rms_decay", kAdaptive},
    {"SolverParameter.delta", kAdaptive},
};

// Parameter groups of Caffe's layers that this program does not have.
constexpr Entry kLayerGroups[] = {
    {"argmax_param", "ArgMax"},
    {"bias_param", "Bias"},
    {"clip_param", "Clip"},
    {"contrastive_loss_param", "ContrastiveLoss"},
    {"crop_param", "Crop"},
    {"elu_param", "ELU"},
    {"embed_param", "Embed"},
    {"exp_param", "Exp"},
    {"hdf5_data_param", "HDF5Data"},
    {"hdf5_output_param", "HDF5Output"},
    {"hinge_loss_param", "HingeLoss"},
    {"image_data_param", "ImageData"},
    {"infogain_loss_param", "InfogainLoss"},
    {"log_param", "Log"},
    {"lrn_param", "LRN"},
    {"memory_data_param", "MemoryData"},
    {"mvn_param", "MVN"},
    {"parameter_param", "Parameter"},
    {"power_param", "Power"},
    {"prelu_param", "PReLU"},
    {"python_param", "Python"},
    {"recurrent_param", "Recurrent"},
    {"reduction_param", "Reduction"},
    {"reshape_param", "Reshape"},
    {"sigmoid_param", "Sigmoid"},
    {"slice_param", "Slice"},
    {"spp_param", "SPP"},
    {"swish_param", "Swish"},
    {"tanh_param", "TanH"},
    {"threshold_param", "Threshold"},
    {"tile_param", "Tile"},
    {"window_data_param", "WindowData"},
};

}  // namespace

std::string_view accepted_reason(std::string_view field) {
  for (const Entry& e : kAccepted) {
    if (e.name == field) return e.text;
  }
  return {};
}

std::string refused_reason(std::string_view name) {
  for (const Entry& e : kRefused) {
    if (e.name == name) return std::string(e.text);
  }
  constexpr std::string_view kLayer = "LayerParameter.";
  if (name.substr(0, kLayer.size()) == kLayer) {
    for (const Entry& e : kLayerGroups) {
      if (e.name == name.substr(kLayer.size())) {
        return "Caffe's layer type '" + std::string(e.text) + "' is not supported";
      }
    }
  }
  return {};
}

std::vector<std::string> refused_names() {
  std::vector<std::string> names;
  for (const Entry& e : kRefused) names.emplace_back(e.name);
  return names;
}

std::vector<std::string_view> allowed_strings(std::string_view field) {
  if (field == "SolverParameter.type") return {"SGD", "Nesterov"};
  if (field == "SolverParameter.regularization_type") return {"L1", "L2"};
  if (field == "SolverParameter.lr_policy") {
    return {"fixed", "step", "multistep", "exp", "inv", "poly", "sigmoid", "cosine", "plateau"};
  }
  if (field == "FillerParameter.type") {
    return {"constant", "gaussian", "uniform", "xavier", "msra"};
  }
  return {};
}

}  // namespace resnet::text
