#include "resnet/exchange/state_dict.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>

#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/prototxt.h"

namespace resnet {
namespace {

// Keys of the metadata.
constexpr const char* kNames = "resnet.names";                  // "torchvision", "cifar", "caffe"
constexpr const char* kConvention = "resnet.convention";        // "resnet", "torchvision"
constexpr const char* kPreprocessing = "resnet.preprocessing";  // as text
constexpr const char* kMean = "resnet.mean";                    // R,G,B; convention torchvision
constexpr const char* kStd = "resnet.std";

constexpr double kLevels = 255;  // of a pixel
constexpr int kFactor = 2;       // blob of a BatchNorm layer
constexpr int kBias = 1;         // blob of a convolution

std::string text_of(const std::array<double, 3>& values) {
  std::string text;
  for (const double value : values) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    text += (text.empty() ? "" : ",") + std::string(digits, end);
  }
  return text;
}

std::array<double, 3> parse_three(const TensorFile& file, const char* key) {
  std::array<double, 3> values{};
  const std::string& text = file.metadata.at(key);
  const char* at = text.data();
  const char* const last = at + text.size();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto [end, error] = std::from_chars(at, last, values[i]);
    const bool closed = i + 1 == values.size() ? end == last : end != last && *end == ',';
    if (error != std::errc() || !closed) {
      throw DataError(file.path + ": metadata '" + key + "' is not three numbers: '" + text + "'");
    }
    at = end + (closed && end != last ? 1 : 0);
  }
  return values;
}

std::string metadata_of(const TensorFile& file, const char* key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? "" : found->second;
}

std::optional<Preprocessing> stored_preprocessing(const TensorFile& file) {
  const std::string text = metadata_of(file, kPreprocessing);
  if (text.empty()) return std::nullopt;
  Preprocessing out;
  google::protobuf::TextFormat::Parser parser;
  struct Silent : google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } silent;
  parser.RecordErrorsTo(&silent);
  if (!parser.ParseFromString(text, &out)) {
    throw DataError(file.path + ": metadata '" + kPreprocessing + "' is no valid Preprocessing");
  }
  return out;
}

std::vector<int> inverse(const std::vector<int>& order) {
  std::vector<int> result(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    result[static_cast<size_t>(order[i])] = static_cast<int>(i);
  }
  return result;
}

// out[i][j] = values[rows[i]][columns[j]]
std::vector<float> gathered(std::vector<float> values, const Shape& shape,
                            const std::vector<int>& rows, const std::vector<int>& columns) {
  if (rows.empty() && columns.empty()) return values;
  const int64_t height = shape[0], width = shape.rank() > 1 ? shape[1] : 1;
  if ((!rows.empty() && static_cast<int64_t>(rows.size()) != height) ||
      (!columns.empty() && static_cast<int64_t>(columns.size()) != width)) {
    throw ConfigError("a blob of shape " + shape.str() +
                      " does not have as many channels as the layers before it");
  }
  const auto inner = static_cast<int64_t>(values.size()) / (height * width);
  std::vector<float> out(values.size());
  for (int64_t i = 0; i < height; ++i) {
    const int64_t row = rows.empty() ? i : rows[static_cast<size_t>(i)];
    for (int64_t j = 0; j < width; ++j) {
      const int64_t column = columns.empty() ? j : columns[static_cast<size_t>(j)];
      std::copy_n(values.begin() + (row * width + column) * inner, inner,
                  out.begin() + (i * width + j) * inner);
    }
  }
  return out;
}

// Multiplies the weights (K,C,H,W) of each input channel, each rounded once.
void scale_channels(const Shape& shape, const std::array<double, 3>& factors,
                    std::vector<float>* values) {
  const auto inner = static_cast<size_t>(shape.count_from(2));
  for (size_t i = 0; i < values->size(); ++i) {
    (*values)[i] = static_cast<float>((*values)[i] * factors[i / inner % 3]);
  }
}

BlobProto* blob_of(NetParameter* net, int layer, int blob) {
  return net->mutable_layer(layer)->mutable_blobs(blob);
}

std::vector<float> values_of(const NetParameter& net, int layer, int blob) {
  const LayerParameter& owner = net.layer(layer);
  if (blob >= owner.blobs_size()) throw InternalError("layer '" + owner.name() + "' has no blobs");
  return blob_values(owner.blobs(blob), "layer '" + owner.name() + "'");
}

Shape shape_of(const NetParameter& net, int layer, int blob) {
  return blob_shape(net.layer(layer).blobs(blob), "layer '" + net.layer(layer).name() + "'");
}

std::string parameter_name(const NetParameter& net, const NamePair& pair) {
  return net.layer(pair.layer).name() + "/" + role_of(net.layer(pair.layer), pair.blob);
}

void require_colour(const NetParameter& net, int stem) {
  const Shape shape = shape_of(net, stem, 0);
  if (shape.rank() == 4 && shape[1] == 3) return;
  throw ConfigError("layer '" + net.layer(stem).name() + "' takes " + shape.str() +
                    ", not three colours, so that no normalisation can be folded into it; --raw "
                    "leaves it as it is");
}

// The size of the net's images, 0 where the file does not say it.
uint32_t image_size(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() != "Input" || layer.input_param().shape_size() == 0) continue;
    const BlobShape& shape = layer.input_param().shape(0);
    if (shape.dim_size() == 4) return static_cast<uint32_t>(shape.dim(2));
  }
  if (net.input_shape_size() > 0 && net.input_shape(0).dim_size() == 4) {
    return static_cast<uint32_t>(net.input_shape(0).dim(2));
  }
  if (net.input_dim_size() == 4) return static_cast<uint32_t>(net.input_dim(2));
  for (const LayerParameter& layer : net.layer()) {
    if (layer.transform_param().crop_size() > 0) return layer.transform_param().crop_size();
  }
  return 0;
}

// Which images a net with this normalisation in its first convolution takes: a shorter side of 256 pixels for a
// crop of 224, and in proportion; small images as they are.
Preprocessing usual_preprocessing(const NetParameter& net, const ResidualNet& parts) {
  Preprocessing out;
  const bool large = parts.pool >= 0;
  const uint32_t found = image_size(net);
  const uint32_t size = found > 0 ? found : large ? 224 : 32;
  out.set_resize_rule(large ? Preprocessing::SHORT_SIDE : Preprocessing::EXACT);
  out.set_resize_size(large ? (size * 256 + 112) / 224 : size);
  if (large) out.set_crop_size(size);
  return out;
}

void set_mean(const Normalisation& input, Preprocessing* out) {
  out->clear_mean();
  out->clear_mean_value();
  out->clear_scale();
  out->set_channel_order(Preprocessing::BGR);
  for (size_t c = 3; c-- > 0;) out->add_mean_value(static_cast<float>(kLevels * input.mean[c]));
}

using TensorsByName = std::map<std::string_view, const NamedTensor*>;

// Names without what wrappers put before all of them.
TensorsByName index_of(const TensorFile& file) {
  size_t skipped = 0;
  const auto all_begin_with = [&](std::string_view prefix) {
    return !file.tensors.empty() &&
           std::all_of(file.tensors.begin(), file.tensors.end(), [&](const NamedTensor& tensor) {
             return std::string_view(tensor.name).substr(skipped).starts_with(prefix);
           });
  };
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view prefix : {"module.", "model."}) {
      if (!all_begin_with(prefix)) continue;
      skipped += prefix.size();
      found = true;
    }
  }
  TensorsByName index;
  for (const NamedTensor& tensor : file.tensors) {
    index[std::string_view(tensor.name).substr(skipped)] = &tensor;
  }
  return index;
}

bool has_part(const TensorsByName& tensors, std::string_view part) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
    return entry.first.find(part) != std::string_view::npos;
  });
}

NameStyle style_of(const TensorsByName& tensors) {
  NameStyle style;
  if (has_part(tensors, ".shortcut.")) style.projection = "shortcut";
  if (tensors.contains("linear.weight")) style.classifier = "linear";
  return style;
}

class Import {
 public:
  Import(const TensorFile& file, const ImportOptions& options, NetParameter* net)
      : file_(file), options_(options), net_(*net), tensors_(index_of(file)) {}

  ImportReport run() {
    if (file_.metadata.contains(kPreprocessing))
      report_.preprocessing = stored_preprocessing(file_);
    const std::vector<NamePair> own = own_names(net_);
    const bool any_own = std::any_of(
        own.begin(), own.end(), [&](const NamePair& p) { return tensors_.contains(p.tensor); });
    if (any_own) {
      for (const NamePair& pair : own) take(pair);
    } else {
      take_foreign();
    }
    if (!report_.folded && metadata_of(file_, kConvention) == "torchvision") {
      report_.preprocessing.reset();  // it does not say what the net takes
    }
    for (const auto& [name, tensor] : tensors_) {
      if (!used_.contains(tensor) && !name.ends_with("num_batches_tracked")) {
        report_.unused.emplace_back(name);
      }
    }
    if (report_.matched == 0) {
      throw DataError(file_.path + ": no tensor of this net is in it: " + report_.str() +
                      "; names as in torchvision, timm, or LAYER/ROLE are known");
    }
    return std::move(report_);
  }

 private:
  void take_foreign() {
    parts_ = residual_net(net_, options_.graph);
    NameStyle style = style_of(tensors_);
    style.zeros_around = options_.reorder && zeros_around();
    std::vector<NamePair> pairs = name_pairs(net_, parts_, style);
    const int stem = parts_.units[static_cast<size_t>(parts_.stem)].convolution;
    const bool fold =
        options_.fold_input && metadata_of(file_, kConvention) != std::string("resnet");
    if (fold) {
      require_colour(net_, stem);
      pairs[0].columns = {2, 1, 0};
    }
    for (const NamePair& pair : pairs) take(pair);
    for (const ResidualNet::Unit& unit : parts_.units) settle(unit);
    if (fold) fold_input(stem);
    if (tensors_.contains("conv1.0.weight")) {
      report_.notes.emplace_back(
          "the file is of a net whose stem has several convolutions (timm's \"d\" variants)");
    }
    for (std::string& line : differences_from_torchvision(net_, parts_)) {
      report_.notes.push_back(std::move(line));
    }
  }

  // Our own files say how they were named; of others, only nets for CIFAR have such shortcuts.
  bool zeros_around() const {
    const std::string names = metadata_of(file_, kNames);
    return parts_.appends_zeros() && (names.empty() || names == "cifar");
  }

  void take(const NamePair& pair) {
    const std::string name = pair.tensor + " (" + parameter_name(net_, pair) + ")";
    const auto found = tensors_.find(pair.tensor);
    if (found == tensors_.end()) {
      report_.missing.push_back(name);
      return;
    }
    const NamedTensor& tensor = *found->second;
    used_.insert(&tensor);
    const Shape wanted = shape_of(net_, pair.layer, pair.blob);
    if (tensor.shape != wanted) {
      report_.mismatched.push_back(name + ": file " + tensor.shape.str() + ", net " + wanted.str());
      return;
    }
    ++report_.matched;
    set_blob(blob_of(&net_, pair.layer, pair.blob), wanted,
             gathered(tensor.data, wanted, pair.rows, pair.columns));
    taken_.insert({pair.layer, pair.blob});
  }

  // The blobs without counterpart.
  void settle(const ResidualNet::Unit& unit) {
    if (taken_.contains({unit.batch_norm, 0}) && taken_.contains({unit.batch_norm, 1})) {
      set_blob(blob_of(&net_, unit.batch_norm, kFactor), {1}, std::vector<float>{1});
    }
    if (taken_.contains({unit.convolution, 0}) &&
        net_.layer(unit.convolution).blobs_size() > kBias) {
      const Shape shape = shape_of(net_, unit.convolution, kBias);
      set_blob(blob_of(&net_, unit.convolution, kBias), shape,
               std::vector<float>(static_cast<size_t>(shape.count())));
    }
  }

  void fold_input(int stem) {
    if (!taken_.contains({stem, 0})) return;
    Normalisation input = options_.input;
    if (file_.metadata.contains(kMean)) input.mean = parse_three(file_, kMean);
    if (file_.metadata.contains(kStd)) input.std = parse_three(file_, kStd);
    std::array<double, 3> factors{};  // B,G,R
    for (size_t c = 0; c < 3; ++c) factors[c] = 1 / (kLevels * input.std[2 - c]);
    const Shape shape = shape_of(net_, stem, 0);
    std::vector<float> values = values_of(net_, stem, 0);
    scale_channels(shape, factors, &values);
    set_blob(blob_of(&net_, stem, 0), shape, values);
    report_.folded = input;
    if (!report_.preprocessing) report_.preprocessing = usual_preprocessing(net_, parts_);
    set_mean(input, &*report_.preprocessing);
  }

  const TensorFile& file_;
  const ImportOptions& options_;
  NetParameter& net_;
  const TensorsByName tensors_;
  std::set<const NamedTensor*> used_;
  std::set<std::pair<int, int>> taken_;  // layer, blob
  ResidualNet parts_;
  ImportReport report_;
};

std::string part(const char* what, const std::vector<std::string>& names) {
  constexpr size_t kShown = 4;
  if (names.empty()) return "";
  std::string text = "; " + std::to_string(names.size()) + " " + what + ": ";
  for (size_t i = 0; i < names.size() && i < kShown; ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

// What the net was fed, for folding: the mean of R, G and B from 0 to 1, and whether its input is R,G,B.
struct OwnInput {
  std::array<double, 3> mean{};
  double scale = 1;
  bool rgb = false;
};

OwnInput own_input(const NetParameter& net) {
  const auto refuse = [](const std::string& fact) {
    throw ConfigError("--convention=torchvision: " + fact);
  };
  if (!net.has_preprocessing()) {
    refuse("the weights do not say how images are prepared; give --mean=B,G,R");
  }
  const Preprocessing& p = net.preprocessing();
  if (p.has_mean()) {
    refuse(
        "a mean image cannot be folded into the first convolution, which pads with zeros; use "
        "--mean=B,G,R or --convention=resnet");
  }
  OwnInput input;
  input.rgb = p.channel_order() == Preprocessing::RGB;
  input.scale = p.scale();
  for (int c = 0; c < 3; ++c) {
    if (p.mean_value_size() == 0) continue;
    const int own = p.mean_value_size() == 1 ? 0 : input.rgb ? c : 2 - c;
    if (own >= p.mean_value_size()) refuse("the preprocessing has two mean values");
    input.mean[static_cast<size_t>(c)] = p.mean_value(own) / kLevels;
  }
  return input;
}

class Export {
 public:
  Export(const NetParameter& net, const ExportOptions& options) : net_(net), options_(options) {}

  TensorFile run() {
    file_.metadata["format"] = "pt";  // what transformers and timm write, too
    file_.metadata[kConvention] = options_.fold_input ? "torchvision" : "resnet";
    if (net_.has_preprocessing())
      file_.metadata[kPreprocessing] = format_prototxt(net_.preprocessing());
    if (!options_.style) {
      if (options_.fold_input) {
        throw ConfigError(
            "--names=caffe goes with --convention=resnet: blobs are written as they are");
      }
      file_.metadata[kNames] = "caffe";
      for (const NamePair& pair : own_names(net_)) add(pair);
      return std::move(file_);
    }
    parts_ = residual_net(net_, options_.graph);
    file_.metadata[kNames] = options_.style->zeros_around ? "cifar" : "torchvision";
    std::vector<NamePair> pairs = name_pairs(net_, parts_, *options_.style);
    if (options_.fold_input) prepare_folding(&pairs[0]);
    for (const NamePair& pair : pairs) add(pair);
    if (options_.fold_input) {
      scale_channels(file_.tensors[0].shape, factors_, &file_.tensors[0].data);
    }
    return std::move(file_);
  }

 private:
  void prepare_folding(NamePair* stem) {
    require_colour(net_, stem->layer);
    const OwnInput own = own_input(net_);
    if (!own.rgb) stem->columns = {2, 1, 0};
    for (size_t c = 0; c < 3; ++c) factors_[c] = kLevels * options_.input.std[c] * own.scale;
    file_.metadata[kMean] = text_of(own.mean);
    file_.metadata[kStd] = text_of(options_.input.std);
  }

  void add(const NamePair& pair) {
    std::vector<float> values = values_of(net_, pair.layer, pair.blob);
    const Shape shape = shape_of(net_, pair.layer, pair.blob);
    if (options_.style && net_.layer(pair.layer).type() == "BatchNorm") average(pair, &values);
    file_.tensors.push_back(
        {pair.tensor, shape,
         gathered(std::move(values), shape, inverse(pair.rows), inverse(pair.columns))});
  }

  // Sums become means; a bias before BatchNorm is what the mean lacks.
  void average(const NamePair& pair, std::vector<float>* values) const {
    const float factor = values_of(net_, pair.layer, kFactor).at(0);
    for (float& value : *values) value = factor == 0 ? 0 : value / factor;
    if (pair.blob != 0) return;
    const auto unit =
        std::find_if(parts_.units.begin(), parts_.units.end(),
                     [&](const ResidualNet::Unit& u) { return u.batch_norm == pair.layer; });
    if (net_.layer(unit->convolution).blobs_size() <= kBias) return;
    const std::vector<float> bias = values_of(net_, unit->convolution, kBias);
    for (size_t i = 0; i < values->size(); ++i) (*values)[i] -= bias[i];
  }

  const NetParameter& net_;
  const ExportOptions& options_;
  ResidualNet parts_;
  std::array<double, 3> factors_{};  // R,G,B
  TensorFile file_;
};

}  // namespace

std::string ImportReport::str() const {
  return std::to_string(matched) + " tensors matched" + part("missing", missing) +
         part("of another shape", mismatched) + part("unused", unused);
}

ImportReport import_tensors(const TensorFile& file, const ImportOptions& options,
                            NetParameter* net) {
  return Import(file, options, net).run();
}

TensorFile export_tensors(const NetParameter& net, const ExportOptions& options) {
  return Export(net, options).run();
}

}  // namespace resnet
