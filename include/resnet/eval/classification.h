// From images to a net's input, and from its scores to classes: what `resnet predict` and Classifier share.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resnet/eval/predictions.h"
#include "resnet/graph/graph.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {

// The layer that reads the images of the options' phase from a data set; nullptr if there is none.
const LayerParameter* data_layer(const NetParameter& net, const GraphOptions& options);

// Shapes of the tops of Data layers for images of shape (C,H,W), by blob; `batch`: images, 0: as the
// layers say.
std::map<std::string, Shape> shapes_for_images(const NetParameter& net, const GraphOptions& options,
                                               const Shape& image, int64_t batch);

// How images become input of the net as it is `stored` with its weights, or else as the net's Data layer
// says, whose relative paths are sought in base_dir, too. Nothing when neither says it. Throws ConfigError
// and DataError as Transformer does.
std::optional<Preprocessing> stated_preprocessing(const NetParameter& net,
                                                  const GraphOptions& options,
                                                  const std::string& base_dir,
                                                  const std::optional<Preprocessing>& stored);

// Images scaled to the size of the net's first input of shape (N,C,H,W), without a mean. Throws
// ConfigError when it has none.
Preprocessing scaled_to_input(const NetParameter& net, const GraphOptions& options);

// Probabilities of the classes from the scores of one image: themselves if they are probabilities, else
// their softmax.
std::vector<double> probabilities_of(std::span<const float> scores, bool are_probabilities);

// The most probable classes, best first, at most `most`; equal ones by label, NaN last.
std::vector<Guess> best_guesses(std::span<const double> probabilities, int most);

// The lines of a text file: names by label. Throws DataError.
std::vector<std::string> read_label_names(const std::string& path);
// The name of a label; "class 7" where there is none.
std::string label_name(const std::vector<std::string>& names, int64_t label);

}  // namespace resnet
