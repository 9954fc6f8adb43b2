#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  for (int i = 0; i < b.num_outputs(); ++i) b.output(i, b.input(0));
}

}  // namespace

const LayerType kSplitLayer{
    "Split", kOne, at_least(1),
    R"(Every top is the bottom under another name. Never needed, since any number of layers may read a blob;
accepted because Caffe writes it into its own files.)",
    build};

}  // namespace resnet::layers
