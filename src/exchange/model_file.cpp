#include "resnet/exchange/model_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <set>

#include "resnet/base/error.h"
#include "resnet/eval/scoring_net.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

GraphOptions in_test() {
  GraphOptions options;
  options.phase = TEST;
  return options;
}

// The number of a field of the message, or of one inside it, that resnet.proto does not have; 0: none.
int unknown_field(const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  if (unknown.field_count() > 0) return unknown.field(0).number();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const int number =
          unknown_field(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                             : reflection.GetMessage(message, field));
      if (number > 0) return number;
    }
  }
  return 0;
}

// What a field says that a prototxt would be refused for is lost in a binary file: enum values and fields
// that resnet.proto does not have.
void check_known(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    if (const int number = unknown_field(layer); number > 0) {
      throw ConfigError("layer '" + layer.name() + "' has field " + std::to_string(number) +
                        " or a value of it that this program does not know");
    }
  }
}

// Caffe saves the net of one phase, with the rules of that phase still in it.
void forget_phases(NetParameter* net) {
  for (LayerParameter& layer : *net->mutable_layer()) {
    layer.clear_include();
    layer.clear_exclude();
    layer.clear_phase();
  }
}

// Channels of the images: from the first convolution's weights, or as the preprocessing says.
int64_t channels_of(const NetParameter& net) {
  if (net.has_preprocessing() && net.preprocessing().has_channel_order()) {
    return net.preprocessing().channel_order() == Preprocessing::GRAY ? 1 : 3;
  }
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() != "Convolution" || layer.blobs_size() == 0) continue;
    const Shape shape = blob_shape(layer.blobs(0), layer.name());
    return shape.rank() == 4 ? shape[1] * layer.convolution_param().group() : 0;
  }
  return 0;
}

int64_t side_of(const NetParameter& net) {
  const Preprocessing& rule = net.preprocessing();
  if (rule.crop_size() > 0) return rule.crop_size();
  if (rule.resize_rule() == Preprocessing::EXACT && rule.resize_size() > 0) {
    return rule.resize_size();
  }
  for (const int i : layers_in_phase(net, in_test())) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() == "Data" && layer.transform_param().crop_size() > 0) {
      return layer.transform_param().crop_size();
    }
  }
  return 0;
}

// What the file says about images, or else that they are scaled to the input's size.
void set_preprocessing(const NetParameter& file, ModelFile* model) {
  model->has_preprocessing = file.has_preprocessing();
  model->preprocessing = file.preprocessing();
  if (!model->has_preprocessing) {
    model->preprocessing.set_channel_order(model->image[0] == 1 ? Preprocessing::GRAY
                                                                : Preprocessing::BGR);
    model->preprocessing.set_resize_rule(Preprocessing::EXACT);
    model->preprocessing.set_resize_size(static_cast<uint32_t>(model->image[1]));
  }
  model->labels.assign(model->preprocessing.class_name().begin(),
                       model->preprocessing.class_name().end());
}

[[noreturn]] void refuse(const std::string& path, const std::string& fact) {
  throw DataError(path + ": " + fact + "; give the net's prototxt by --model");
}

}  // namespace

Shape image_shape_of(const NetParameter& net) {
  const auto& recorded = net.training().image_shape();
  if (recorded.size() == 3 && *std::min_element(recorded.begin(), recorded.end()) > 0) {
    return Shape{recorded[0], recorded[1], recorded[2]};
  }
  for (const int i : layers_in_phase(net, in_test())) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() != "Input" || layer.input_param().shape_size() == 0) continue;
    const BlobShape& shape = layer.input_param().shape(0);
    if (shape.dim_size() == 4) return Shape{shape.dim(1), shape.dim(2), shape.dim(3)};
  }
  if (net.input_shape_size() > 0 && net.input_shape(0).dim_size() == 4) {
    return Shape{net.input_shape(0).dim(1), net.input_shape(0).dim(2), net.input_shape(0).dim(3)};
  }
  if (net.input_dim_size() >= 4) {
    return Shape{net.input_dim(1), net.input_dim(2), net.input_dim(3)};
  }
  const int64_t side = side_of(net), channels = channels_of(net);
  return side > 0 && channels > 0 ? Shape{channels, side, side} : Shape{};
}

NetParameter deploy_net(const NetParameter& net, const Shape& image) {
  ScoringNet scoring = scoring_net(net, in_test(), image, ScoreKind::probabilities);
  std::set<std::string> names;
  for (const LayerParameter& layer : scoring.net.layer()) names.insert(layer.name());
  LayerParameter& last = *scoring.net.mutable_layer(scoring.net.layer_size() - 1);
  const bool added = last.type() == "Softmax" && last.name().starts_with("scores of ");
  if (added && names.count("prob") == 0) {
    last.set_name("prob");
    last.set_top(0, "prob");
  }
  return scoring.net;
}

ModelFile parse_model_file(std::string_view bytes, const std::string& path) {
  ModelFile model;
  model.path = path;
  model.weights = parse_caffemodel(bytes, path);
  NetParameter file;  // which parse_caffemodel has shown to be one
  if (!file.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    refuse(path, "its net cannot be read");
  }
  const bool typed =
      std::any_of(file.layer().begin(), file.layer().end(),
                  [](const LayerParameter& layer) { return layer.bottom_size() > 0; });
  if (!typed) refuse(path, "there is no net inside, only weights");
  if (!model.weights.ours) forget_phases(&file);
  model.image = image_shape_of(file);
  file.clear_file_header();
  file.clear_file_checksum();
  for (LayerParameter& layer : *file.mutable_layer()) layer.clear_blobs();
  if (model.image.rank() != 3) {
    refuse(path, "the net inside does not say how large its images are");
  }
  try {
    model.net = deploy_net(file, model.image);
    check_known(model.net);
    build_graph(model.net, in_test());
  } catch (const ConfigError& e) {
    refuse(path, std::string("the net inside cannot be used: ") + e.what());
  }
  model.input = model.net.layer(0).top(0);
  model.scores = model.net.layer(model.net.layer_size() - 1).top(0);
  set_preprocessing(file, &model);
  model.training = file.training();
  return model;
}

ModelFile read_model_file(const std::string& path) {
  return parse_model_file(read_file(path), path);
}

uint64_t write_model_file(const std::string& path, const NetParameter& net,
                          const Preprocessing& preprocessing, const TrainingRecord& training,
                          uint64_t run_id) {
  NetParameter file = net;
  *file.mutable_preprocessing() = preprocessing;
  *file.mutable_training() = training;
  if (file.training().image_shape_size() == 0) {
    for (const int64_t dim : image_shape_of(file).dims()) {
      file.mutable_training()->add_image_shape(static_cast<int32_t>(dim));
    }
  }
  return write_caffemodel(path, file, run_id);
}

}  // namespace resnet
