// Where the rules come from by which images become input of a net.
#include <glog/logging.h>

#include <cstdlib>

#include "cli.h"
#include "flags.h"
#include "net_input.h"
#include "resnet/base/error.h"
#include "resnet/eval/classification.h"
#include "resnet/io/mean_file.h"

DEFINE_string(
    mean, "",
    "FILE|B,G,R: mean image (binaryproto) or mean values, in place of those in the weights");
DEFINE_double(scale, 1, "X: factor after the mean, in place of the one in the weights");
DEFINE_int32(resize, 0, "N: scale the shorter side of images to N pixels first");

namespace resnet::cli {
namespace {

Preprocessing rule_of(const NetFile& file, const std::optional<Preprocessing>& stored) {
  const GraphOptions options = file.graph_options(TEST);
  if (auto stated = stated_preprocessing(file.net, options, file.base_dir, stored)) return *stated;
  LOG(WARNING)
      << "the weights do not say how images are prepared: they are scaled to the net's input"
      << (FLAGS_mean.empty() ? ", no mean is subtracted (--mean)" : "");
  return scaled_to_input(file.net, options);
}

// Whether the text is numbers joined by commas.
bool parse_values(const std::string& text, std::vector<float>* values) {
  for (const std::string& item : split_list(text)) {
    char* end = nullptr;
    values->push_back(std::strtof(item.c_str(), &end));
    if (item.empty() || *end != '\0') return false;
  }
  return true;
}

void set_mean(const std::string& text, Preprocessing* out) {
  out->clear_mean();
  out->clear_mean_value();
  std::vector<float> values;
  if (parse_values(text, &values)) {
    out->mutable_mean_value()->Add(values.begin(), values.end());
    return;
  }
  const MeanImage mean = read_mean(text);
  for (const int64_t dim : mean.shape.dims()) out->mutable_mean()->mutable_shape()->add_dim(dim);
  out->mutable_mean()->mutable_data()->Add(mean.values.begin(), mean.values.end());
  if (mean.shape[1] == static_cast<int64_t>(out->resize_size())) return;
  // The mean image is as large as the images were, of which the net saw the centre.
  out->set_crop_size(out->crop_size() ? out->crop_size() : out->resize_size());
  out->set_resize_rule(Preprocessing::EXACT);
  out->set_resize_size(static_cast<uint32_t>(mean.shape[1]));
}

}  // namespace

Preprocessing preprocessing_for(const NetFile& file, const std::optional<Preprocessing>& stored) {
  Preprocessing out = rule_of(file, stored);
  if (given("resize")) {
    if (FLAGS_resize < 1) throw ConfigError("--resize takes a number of pixels from 1");
    if (out.crop_size() == 0) out.set_crop_size(out.resize_size());
    out.set_resize_rule(Preprocessing::SHORT_SIDE);
    out.set_resize_size(static_cast<uint32_t>(FLAGS_resize));
  }
  if (given("mean")) set_mean(FLAGS_mean, &out);
  if (given("scale")) out.set_scale(static_cast<float>(FLAGS_scale));
  return out;
}

}  // namespace resnet::cli
