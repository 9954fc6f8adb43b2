// docs/layers.md from the layers' own descriptions.
#include "layers/builtin.h"

namespace resnet {
namespace {

constexpr const char* kPreface = R"(# Layers

Generated from the `doc` strings in `src/layers`; `graph_test` compares, and rewrites this file when
run with `RESNET_UPDATE=1`.

A net is a prototxt in Caffe's language. Shapes are logical: (N,C,H,W) is images, channels, height and
width, whatever the layout in memory. An in-place top is only a name: it may name any bottom of its
layer, and whoever read the blob before still sees the old value. Every layer also takes `name`, `type`,
`bottom`, `top`, `include` and `exclude` rules (phase, level, stage), `phase`, `propagate_down`, and one
`param { lr_mult decay_mult }` per learned blob. Sharing blobs with `param { name }` is refused.
)";

std::string count_text(Arity arity) {
  if (arity.max == 0) return "none";
  if (arity.max == std::numeric_limits<int>::max()) return std::to_string(arity.min) + " or more";
  if (arity.min == arity.max) return std::to_string(arity.min);
  return std::to_string(arity.min) + " to " + std::to_string(arity.max);
}

}  // namespace

std::string layers_markdown() {
  std::string text = kPreface;
  for (const LayerType& layer : builtin_layers()) {
    text += "\n## " + std::string(layer.name) + "\n\nBottoms: " + count_text(layer.inputs) +
            ". Tops: " + count_text(layer.outputs) + ".\n\n" + std::string(layer.doc) + "\n";
  }
  return text;
}

}  // namespace resnet
