#include "resnet/eval/protocol.h"

#include <algorithm>
#include <numeric>

#include "resnet/base/error.h"
#include "resnet/base/parallel.h"
#include "resnet/data/image.h"

namespace resnet {
namespace {

// Pixels beyond which an image and its mirror image are shown one by one: half the memory, and one image
// keeps all threads busy.
constexpr int64_t kLargeView = int64_t{1} << 20;

// What is subtracted from a view's pixels.
class Mean {
 public:
  explicit Mean(const Preprocessing& preprocessing)
      : values_(preprocessing.mean_value().begin(), preprocessing.mean_value().end()) {
    if (!preprocessing.has_mean()) return;
    const BlobProto& blob = preprocessing.mean();
    std::vector<int64_t> dims(blob.shape().dim().begin(), blob.shape().dim().end());
    if (dims.size() == 4 && dims[0] == 1) dims.erase(dims.begin());
    if (dims.size() != 3 || Shape(dims).count() != blob.data_size()) {
      throw DataError("the mean image stored with the weights is damaged");
    }
    shape_ = Shape(dims);
    image_.assign(blob.data().begin(), blob.data().end());
    const int64_t pixels = shape_.count_from(1);
    for (int64_t c = 0; c < shape_[0]; ++c) {
      double sum = 0;
      for (int64_t i = 0; i < pixels; ++i) sum += image_[static_cast<size_t>(c * pixels + i)];
      values_.push_back(static_cast<float>(sum / static_cast<double>(pixels)));
    }
  }

  // The mean image's row for row y of a view, or null where only the channel's mean fits. The row
  // begins at the view's left edge.
  const float* row(const Shape& image, const View& view, int64_t channel, int64_t y) const {
    if (image_.empty()) return nullptr;
    const bool as_view = shape_[1] == view.height && shape_[2] == view.width;
    if (!as_view && shape_ != image) return nullptr;
    const int64_t top = as_view ? 0 : view.top, left = as_view ? 0 : view.left;
    return image_.data() + (channel * shape_[1] + top + y) * shape_[2] + left;
  }

  float value(int64_t channel) const {
    if (values_.empty()) return 0;
    return values_.size() == 1 ? values_[0] : values_[static_cast<size_t>(channel)];
  }

  void check(int64_t channels) const {
    if (values_.size() > 1 && static_cast<int64_t>(values_.size()) != channels) {
      throw DataError("the preprocessing stored with the weights has means of " +
                      std::to_string(values_.size()) + " channels, the net takes " +
                      std::to_string(channels));
    }
  }

 private:
  Shape shape_;
  std::vector<float> image_;
  std::vector<float> values_;
};

// Writes (C,height,width) floats.
void write_view(const Record& image, const View& view, const Mean& mean, float scale, float* out) {
  for (int64_t c = 0; c < image.shape[0]; ++c) {
    for (int64_t y = 0; y < view.height; ++y, out += view.width) {
      const uint8_t* pixels =
          image.bytes.data() + (c * image.shape[1] + view.top + y) * image.shape[2] + view.left;
      const float* means = mean.row(image.shape, view, c, y);
      for (int64_t x = 0; x < view.width; ++x) {
        out[x] = (static_cast<float>(pixels[x]) - (means ? means[x] : mean.value(c))) * scale;
      }
      if (view.mirrored) std::reverse(out, out + view.width);
    }
  }
}

void add(const std::vector<double>& values, double weight, std::vector<double>* sum) {
  for (size_t k = 0; k < values.size(); ++k) (*sum)[k] += weight * values[k];
}

}  // namespace

std::string Protocol::str() const {
  std::string text = kind == Kind::one_crop ? "1crop" : kind == Kind::ten_crop ? "10crop" : "dense";
  for (size_t i = 0; i < scales.size(); ++i) {
    text += (i == 0 ? " at " : ",") + std::to_string(scales[i]);
  }
  if (kind == Kind::dense && !mirror) text += ", not mirrored";
  if (kind == Kind::one_crop && scales.size() < 2) return text;
  return text +
         (average == ScoreKind::logits ? ", average of logits" : ", average of probabilities");
}

Protocol::Kind parse_protocol(const std::string& text) {
  if (text == "1crop") return Protocol::Kind::one_crop;
  if (text == "10crop") return Protocol::Kind::ten_crop;
  if (text == "dense") return Protocol::Kind::dense;
  throw ConfigError("--protocol takes 1crop, 10crop or dense, not '" + text + "'");
}

std::vector<View> views_of(const Protocol& protocol, int64_t height, int64_t width,
                           const Shape& crop) {
  std::vector<View> views;
  if (protocol.kind == Protocol::Kind::dense) {
    views.push_back({0, 0, height, width, false});
    if (protocol.mirror) views.push_back({0, 0, height, width, true});
    return views;
  }
  const int64_t down = height - crop[1], right = width - crop[2];
  const View centre{down / 2, right / 2, crop[1], crop[2], false};
  if (protocol.kind == Protocol::Kind::one_crop) return {centre};
  for (const bool mirrored : {false, true}) {
    for (const int64_t top : {int64_t{0}, down}) {
      for (const int64_t left : {int64_t{0}, right}) {
        views.push_back({top, left, crop[1], crop[2], mirrored});
      }
    }
    views.push_back(centre);
    views.back().mirrored = mirrored;
  }
  return views;
}

struct Scorer::Impl {
  Impl(ScoringNet cut, const NetOptions& options, std::shared_ptr<Backend> backend,
       const Preprocessing& given, Protocol how, int64_t crops)
      : scoring(std::move(cut)),
        net(scoring.net, std::move(backend), options, {}, {}),
        preprocessing(given),
        mean(given),
        protocol(std::move(how)),
        batch(crops) {}

  // Scores of views of one size, each averaged over its positions. `shape`: (N,C,H,W) of a run.
  struct Shown {
    const Record* image;
    View view;
  };
  std::vector<std::vector<double>> run(std::span<const Shown> shown, const Shape& shape) {
    Session& session = net.session(TEST, 0, {{scoring.input, shape}}, {scoring.scores});
    float* const input = net.input(session, scoring.input).as<float>();
    const int64_t floats = shape.count_from(1);
    std::vector<std::vector<double>> result;
    for (size_t begin = 0; begin < shown.size(); begin += static_cast<size_t>(shape[0])) {
      const auto part =
          shown.subspan(begin, std::min(static_cast<size_t>(shape[0]), shown.size() - begin));
      // A short batch is filled up, so that all go through the same program.
      std::fill(input + static_cast<int64_t>(part.size()) * floats, input + shape.count(), 0.0F);
      parallel_for(static_cast<int64_t>(part.size()), 1, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; ++i) {
          const Shown& one = part[static_cast<size_t>(i)];
          write_view(*one.image, one.view, mean, preprocessing.scale(), input + i * floats);
        }
      });
      net.forward(session);
      const HostArray scores = net.read(session, scoring.scores);
      for (size_t i = 0; i < part.size(); ++i) result.push_back(position_average(scores, i));
    }
    return result;
  }

  std::vector<std::vector<double>> run_crops(std::span<const Shown> crops) {
    const Shape& crop = scoring.image;
    return run(crops, {batch, crop[0], crop[1], crop[2]});
  }

  // `views` of each image, one image after the other: each has a size of its own.
  std::vector<std::vector<double>> run_whole(std::span<const Shown> shown, size_t views) {
    std::vector<std::vector<double>> scores;
    for (size_t begin = 0; begin < shown.size(); begin += views) {
      const View& view = shown[begin].view;
      const bool large = view.height * view.width > kLargeView;
      const Shape shape{large ? 1 : static_cast<int64_t>(views), scoring.image[0], view.height,
                        view.width};
      try {
        for (auto& one : run(shown.subspan(begin, views), shape)) scores.push_back(std::move(one));
      } catch (const OutOfMemory& e) {
        throw DeviceError("image " + shown[begin].image->key + ", tested at " +
                          std::to_string(view.width) + "x" + std::to_string(view.height) +
                          " pixels: out of memory: " + e.fact() + "; give smaller --scales");
      }
    }
    return scores;
  }

  static std::vector<double> position_average(const HostArray& scores, size_t item) {
    const auto classes = static_cast<size_t>(scores.shape[1]);
    const auto positions = static_cast<size_t>(scores.shape.count_from(2));
    std::vector<double> average(classes);
    for (size_t k = 0; k < classes; ++k) {
      const float* values = scores.data.data() + (item * classes + k) * positions;
      average[k] =
          std::accumulate(values, values + positions, 0.0) / static_cast<double>(positions);
    }
    return average;
  }

  std::vector<Record> all_scaled(std::span<const Record> images, int64_t scale) const {
    std::vector<Record> result(images.size());
    parallel_for(static_cast<int64_t>(images.size()), 1, [&](int64_t from, int64_t to) {
      for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
        result[i] = scaled(images[i], scale);
      }
    });
    return result;
  }

  Record scaled(const Record& image, int64_t scale) const {
    if (image.shape.rank() != 3 || image.shape[0] != scoring.image[0] || image.bytes.empty()) {
      throw DataError("image " + image.key + " has shape " + image.shape.str() +
                      ", the net takes " + std::to_string(scoring.image[0]) + " channels");
    }
    Record result = image;
    if (scale > 0) {
      Preprocessing rule;
      rule.set_resize_rule(Preprocessing::SHORT_SIDE);
      rule.set_resize_size(static_cast<uint32_t>(scale));
      resize(result, rule);
    } else {
      resize(result, preprocessing);
    }
    if (result.shape[1] < scoring.image[1] || result.shape[2] < scoring.image[2]) {
      throw DataError("image " + image.key + " of " + result.shape.str() +
                      " is smaller than the net's training input " + scoring.image.str() +
                      "; give --scales");
    }
    return result;
  }

  ScoringNet scoring;
  Net net;
  LoadReport report;
  Preprocessing preprocessing;
  Mean mean;
  Protocol protocol;
  int64_t batch;
  int64_t classes = 0;
};

Scorer::Scorer(const NetParameter& net, const NetOptions& options, std::shared_ptr<Backend> backend,
               WeightSet weights, const Preprocessing& preprocessing, const Shape& image,
               const Protocol& protocol, int64_t batch, bool allow_missing) {
  GraphOptions graph;
  graph.phase = TEST;
  graph.level = options.level;
  graph.stages = options.stages;
  ScoringNet scoring = protocol.kind == Protocol::Kind::dense
                           ? dense_net(net, graph, image, protocol.average)
                           : scoring_net(net, graph, image, protocol.average);
  adapt_weights(scoring, &weights);
  for (const int64_t scale : protocol.scales) {
    const int64_t side = std::max(scoring.image[1], scoring.image[2]);
    if (scale < side) {
      throw ConfigError("scale " + std::to_string(scale) +
                        " is below the net's training input of " + std::to_string(side) +
                        " pixels; leave it out");
    }
  }
  impl_ = std::make_unique<Impl>(std::move(scoring), options, std::move(backend), preprocessing,
                                 protocol, batch);
  impl_->mean.check(impl_->scoring.image[0]);
  impl_->report = load_weights(impl_->net, weights, allow_missing);
  GraphOptions plain;
  plain.phase = TEST;
  const Graph built = build_graph(impl_->scoring.net, plain);
  impl_->classes = built.value(built.blobs.at(impl_->scoring.scores)).desc.shape[1];
}

Scorer::~Scorer() = default;
Scorer::Scorer(Scorer&&) noexcept = default;

int64_t Scorer::classes() const { return impl_->classes; }
double Scorer::planning_seconds() const { return impl_->net.planning_seconds(); }
const LoadReport& Scorer::report() const { return impl_->report; }

std::vector<std::vector<double>> Scorer::scores(std::span<const Record> images) {
  const Protocol& protocol = impl_->protocol;
  const std::vector<int64_t> scales =
      protocol.scales.empty() ? std::vector<int64_t>{0} : protocol.scales;
  std::vector<std::vector<double>> result(images.size(),
                                          std::vector<double>(static_cast<size_t>(impl_->classes)));
  for (const int64_t scale : scales) {
    const std::vector<Record> scaled = impl_->all_scaled(images, scale);
    std::vector<Impl::Shown> shown;
    for (const Record& image : scaled) {
      for (const View& view :
           views_of(protocol, image.shape[1], image.shape[2], impl_->scoring.image)) {
        shown.push_back({&image, view});
      }
    }
    const size_t views = images.empty() ? 1 : shown.size() / images.size();
    const double weight = 1.0 / static_cast<double>(views * scales.size());
    const std::vector<std::vector<double>> scores = protocol.kind == Protocol::Kind::dense
                                                        ? impl_->run_whole(shown, views)
                                                        : impl_->run_crops(shown);
    for (size_t i = 0; i < scores.size(); ++i) add(scores[i], weight, &result[i / views]);
  }
  return result;
}

}  // namespace resnet
