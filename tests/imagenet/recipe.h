// Recipes of `resnet define --family=imagenet`, with made-up images in place of ImageNet.
#pragma once

#include <google/protobuf/text_format.h>

#include <string>
#include <vector>

#include "cli/tool.h"
#include "resnet/io/prototxt.h"

namespace resnet::testing {

inline void add_shape(DummyDataParameter* dummy, const std::vector<int64_t>& dims) {
  BlobShape* shape = dummy->add_shape();
  for (const int64_t dim : dims) shape->add_dim(dim);
}

// Square images from a normal distribution, all of class 3.
inline void make_dummy(LayerParameter* layer, int64_t batch, int64_t side) {
  layer->set_type("DummyData");
  layer->clear_data_param();
  layer->clear_transform_param();
  DummyDataParameter* dummy = layer->mutable_dummy_data_param();
  add_shape(dummy, {batch, 3, side, side});
  add_shape(dummy, {batch});
  FillerParameter* pixels = dummy->add_data_filler();
  pixels->set_type("gaussian");
  pixels->set_std(1);
  dummy->add_data_filler()->set_value(3);
}

// Writes train_val.prototxt and solver.prototxt with `resnet define` and these flags. Tests take batches
// as large as training does.
inline void define_recipe(const test::Workspace& dir, const std::vector<std::string>& flags,
                          int64_t side) {
  std::vector<std::string> arguments = {"define", "--family=imagenet", "--output=."};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  dir.run_ok(arguments);
  NetParameter net = parse_net_prototxt(dir.read("train_val.prototxt"));
  int64_t batch = 0;
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.type() != "Data") continue;
    if (layer.include(0).phase() == TRAIN) batch = layer.data_param().batch_size();
    make_dummy(&layer, batch, side);
  }
  std::string text;
  google::protobuf::TextFormat::PrintToString(net, &text);
  dir.write("train_val.prototxt", text);
}

}  // namespace resnet::testing
