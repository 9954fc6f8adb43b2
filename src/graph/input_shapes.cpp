#include "graph/input_shapes.h"

#include <string>

#include "resnet/base/error.h"

namespace resnet {
namespace {

Shape shape_of(const BlobShape& shape) {
  return Shape(std::vector<int64_t>(shape.dim().begin(), shape.dim().end()));
}

// Entry i of a repeated field that is given once or once per top.
template <class Field>
const auto& entry(const Field& field, int i) {
  return field[field.size() == 1 ? 0 : i];
}

void check_size(const char* name, int size, int tops) {
  if (size == 1 || size == tops) return;
  if (size == 0) {
    throw ConfigError(std::string(name) + " is missing; set it once or once per top");
  }
  throw ConfigError(std::string(name) + " is set " + std::to_string(size) + " times for " +
                    std::to_string(tops) + " tops; set it once or once per top");
}

std::vector<Shape> shapes_from(const google::protobuf::RepeatedPtrField<BlobShape>& field,
                               const char* name, int tops) {
  check_size(name, field.size(), tops);
  std::vector<Shape> shapes;
  shapes.reserve(static_cast<size_t>(tops));
  for (int i = 0; i < tops; ++i) shapes.push_back(shape_of(entry(field, i)));
  return shapes;
}

std::vector<Shape> dummy_shapes(const DummyDataParameter& p, int tops) {
  const bool old_form = p.num_size() + p.channels_size() + p.height_size() + p.width_size() > 0;
  if (p.shape_size() > 0 && old_form) {
    throw ConfigError("dummy_data_param has both shape and num, channels, ..; keep shape");
  }
  const int fillers = p.data_filler_size();
  if (fillers > 1) check_size("dummy_data_param.data_filler", fillers, tops);
  if (!old_form) return shapes_from(p.shape(), "dummy_data_param.shape", tops);
  check_size("dummy_data_param.num", p.num_size(), tops);
  check_size("dummy_data_param.channels", p.channels_size(), tops);
  check_size("dummy_data_param.height", p.height_size(), tops);
  check_size("dummy_data_param.width", p.width_size(), tops);
  std::vector<Shape> shapes;
  shapes.reserve(static_cast<size_t>(tops));
  for (int i = 0; i < tops; ++i) {
    shapes.push_back(Shape{entry(p.num(), i), entry(p.channels(), i), entry(p.height(), i),
                           entry(p.width(), i)});
  }
  return shapes;
}

}  // namespace

std::vector<Shape> stated_shapes(const LayerParameter& layer) {
  const int tops = layer.top_size();
  if (layer.type() == "Input") {
    return shapes_from(layer.input_param().shape(), "input_param.shape", tops);
  }
  if (layer.type() == "DummyData") return dummy_shapes(layer.dummy_data_param(), tops);
  return {};
}

std::vector<Shape> legacy_shapes(const NetParameter& net) {
  constexpr int kDims = 4;  // values of input_dim per input
  const int inputs = net.input_size();
  if (net.input_shape_size() > 0 && net.input_dim_size() > 0) {
    throw ConfigError("the net has both input_shape and input_dim; keep input_shape");
  }
  std::vector<Shape> shapes;
  if (net.input_dim_size() == 0) {
    if (net.input_shape_size() != inputs) {
      throw ConfigError("the net has " + std::to_string(inputs) + " input and " +
                        std::to_string(net.input_shape_size()) +
                        " input_shape fields; give each input one");
    }
    for (const BlobShape& shape : net.input_shape()) shapes.push_back(shape_of(shape));
    return shapes;
  }
  if (net.input_dim_size() != kDims * inputs) {
    throw ConfigError("the net has " + std::to_string(net.input_dim_size()) +
                      " input_dim values for " + std::to_string(inputs) +
                      " inputs; give each input four (N, C, H, W)");
  }
  for (int i = 0; i < inputs; ++i) {
    const auto* dim = net.input_dim().data() + kDims * i;
    shapes.push_back(Shape{dim[0], dim[1], dim[2], dim[3]});
  }
  return shapes;
}

}  // namespace resnet
