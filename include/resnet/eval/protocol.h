// The paper's ways to look at a test image: one crop, ten crops, or densely at several scales.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "resnet/data/source.h"
#include "resnet/eval/scoring_net.h"
#include "resnet/eval/weights.h"
#include "resnet/net/net.h"

namespace resnet {

struct Protocol {
  enum class Kind : uint8_t {
    one_crop,  // the centre
    ten_crop,  // four corners and the centre, and their mirror images (AlexNet, section 4.1)
    dense  // the whole image and its mirror image, fully convolutionally (the paper, section 3.4)
  };
  Kind kind = Kind::one_crop;
  // Shorter sides that images are scaled to, in pixels; empty: as the preprocessing says.
  std::vector<int64_t> scales{};
  bool mirror = true;                            // dense only: also the mirror image
  ScoreKind average = ScoreKind::probabilities;  // what is averaged over positions and views

  std::string str() const;  // "dense at 224,256, average of probabilities"
};
Protocol::Kind parse_protocol(const std::string& text);  // "1crop", "10crop", "dense"; ConfigError

// A part of an image that a net is shown.
struct View {
  int64_t top = 0, left = 0, height = 0, width = 0;  // pixels
  bool mirrored = false;
};

// The views of an image of this size; `crop`: the net's training input (C,H,W), which must fit.
std::vector<View> views_of(const Protocol& protocol, int64_t height, int64_t width,
                           const Shape& crop);

// One model that gives scores. Not thread-safe.
class Scorer {
 public:
  // `preprocessing`: mean, scale, and the resize rule where the protocol has no scales. A mean image
  // of the size of the views, or else of the images, is subtracted pixel by pixel, any other as its
  // channels' means. `image`: (C,H,W) of the net's training input, the size of crops; rank 0 takes
  // that of the net's Input layer. `batch`: crops at a time. Throws ConfigError on nets that cannot
  // be scored so and on scales below the training input, DataError on weights that do not fit.
  Scorer(const NetParameter& net, const NetOptions& options, std::shared_ptr<Backend> backend,
         WeightSet weights, const Preprocessing& preprocessing, const Shape& image,
         const Protocol& protocol, int64_t batch, bool allow_missing = false);
  ~Scorer();
  Scorer(Scorer&&) noexcept;

  int64_t classes() const;
  const LoadReport& report() const;
  // Scores by class for each of the decoded 8-bit images (B,G,R planes): the average over positions,
  // then views, then scales. An image's scores do not depend on those it comes with. Throws DataError
  // on images with other channels than the net's, or smaller than its training input where nothing
  // scales them, and DeviceError, naming the image, where memory does not suffice for one.
  std::vector<std::vector<double>> scores(std::span<const Record> images);
  // Of scores() so far, what went into programs for new image sizes; as Net::planning_seconds().
  double planning_seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnet
