// The net that --model or --solver names: its layers, the shapes of its inputs, its weights.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "resnet/eval/feed.h"
#include "resnet/eval/weights.h"
#include "resnet/net/net.h"

namespace resnet::cli {

using Shapes = std::map<std::string, Shape>;  // by blob

struct NetFile {
  NetParameter net;
  std::string base_dir;         // where relative data paths are sought after the working directory
  std::string device = "auto";  // where the solver wants to compute; for open_backend
  NetOptions options;           // --level, --stage, how to plan, and the places of layers

  GraphOptions graph_options(Phase phase) const;
  FeedOptions feed_options(Phase phase) const;  // with --batch and --loader_threads
};

// --phase. Throws ConfigError.
Phase parse_phase();

// Reads --model, or the net of --solver, or for TEST without either the net inside --weights. Throws one
// ConfigError with everything that is wrong with its text, and with the net of this phase as well if its
// text is wrong; DataError for weights without a net.
NetFile read_net_file(Phase phase);
// The same for the net at `path`, whatever the flags name.
NetFile read_net_file(Phase phase, const std::string& path);
// The net for use that a weight file holds.
NetFile read_net_in_weights(const std::string& path);

// The layer that reads a phase's images from a data set; nullptr if there is none.
const LayerParameter* data_layer(const NetFile& file, Phase phase);

// Shapes of the tops of Data layers for images of shape (C,H,W).
Shapes shapes_for_images(const NetFile& file, Phase phase, const Shape& image);

// The same from --input_shape or, without it, from the data sets that the net names, which must exist.
Shapes data_shapes(const NetFile& file, Phase phase);

// The net of one phase, with weights that are unset. Throws ConfigError.
std::unique_ptr<Net> build_net(const NetFile& file, std::shared_ptr<Backend> backend, Phase phase,
                               const Shapes& shapes);

// Loads --weights as --allow_missing says, logs what matched, and returns the file, whose blobs are
// gone. Parameters that the file lacks have been filled by their fillers. Throws DataError.
WeightSet load_weights_flag(Net& net);

}  // namespace resnet::cli
