#include "resnet/classifier/classifier.h"

#include <glog/logging.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "classifier/image_records.h"
#include "classifier/work_thread.h"
#include "resnet/backends/device.h"
#include "resnet/base/denormals.h"
#include "resnet/base/parallel.h"
#include "resnet/data/transform.h"
#include "resnet/eval/classification.h"
#include "resnet/eval/evaluate.h"
#include "resnet/eval/weights.h"
#include "resnet/exchange/model_file.h"
#include "resnet/io/files.h"
#include "resnet/io/prototxt.h"

namespace resnet {
namespace {

// What the options name.
struct Model {
  NetParameter net;
  std::string base_dir;  // of the net's relative paths
  WeightSet weights;
  std::vector<std::string> names;  // of classes
  GraphOptions graph;
};

Model read_one_file_model(const std::string& path) {
  ModelFile file = read_model_file(path);
  Model model;
  model.net = std::move(file.net);
  model.weights = std::move(file.weights);
  model.weights.preprocessing.reset();
  if (file.has_preprocessing) model.weights.preprocessing = std::move(file.preprocessing);
  model.names = std::move(file.labels);
  model.graph.phase = TEST;
  model.graph.locate = [path](int) { return path; };
  return model;
}

Model read_model(const ClassifierOptions& options) {
  if (options.weights.empty()) throw ConfigError("a classifier needs weights (.caffemodel)");
  if (options.model.empty()) return read_one_file_model(options.weights);
  Model model;
  NetSource source = read_net_source(options.model);
  if (!source.problems.empty()) read_net_prototxt(options.model);  // throws all of them
  model.net = std::move(source.net);
  model.base_dir = directory_of(options.model);
  model.weights = read_caffemodel(options.weights);
  if (const auto& stored = model.weights.preprocessing) {
    model.names.assign(stored->class_name().begin(), stored->class_name().end());
  }
  model.graph.phase = TEST;
  model.graph.locate = [source = std::move(source)](int layer) { return source.where(layer); };
  return model;
}

Preprocessing preprocessing_of(const Model& model) {
  if (auto stated = stated_preprocessing(model.net, model.graph, model.base_dir,
                                         model.weights.preprocessing)) {
    return *stated;
  }
  LOG(WARNING) << model.weights.path
               << ": does not say how images are prepared: they are scaled to the net's input, no "
                  "mean is subtracted";
  return scaled_to_input(model.net, model.graph);
}

// Shapes of the tops of Data layers, whose size only the preprocessing tells.
std::map<std::string, Shape> data_shapes(const Model& model, const Preprocessing& rule,
                                         int64_t batch) {
  if (data_layer(model.net, model.graph) == nullptr) return {};
  int64_t size = rule.crop_size();
  if (size == 0 && rule.resize_rule() == Preprocessing::EXACT) size = rule.resize_size();
  if (size == 0) {
    throw ConfigError(
        "the net does not state the size of its input; use a deploy prototxt, whose Input layer "
        "does");
  }
  const int64_t channels = rule.channel_order() == Preprocessing::GRAY ? 1 : 3;
  return shapes_for_images(model.net, model.graph, {channels, size, size}, batch);
}

const Value& image_input(const Graph& graph) {
  for (const Input& input : graph.inputs) {
    if (graph.value(input.value).desc.shape.rank() == 4) return graph.value(input.value);
  }
  throw ConfigError("the net has no input for images, of shape (N,C,H,W)");
}

void check_top(int top) {
  if (top < 1) throw ConfigError("the number of classes to name is 1 or more");
}

}  // namespace

struct Classifier::Impl {
  explicit Impl(const ClassifierOptions& given) : batch(given.batch) {
    if (batch < 1) throw ConfigError("a classifier's batch is 1 or more");
    if (given.threads < 0) throw ConfigError("a classifier's number of threads is 0 or more");
    thread.run([&] {
      try {
        load(given);
      } catch (...) {
        unload();
        throw;
      }
    });
  }
  ~Impl() {
    thread.run([this] { unload(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // These run on `thread`.
  void load(const ClassifierOptions& given);
  void unload() {
    net.reset();
    backend.reset();
  }

  Shape prepared_shape(const Record& record) const;
  // Writes the image's floats, `image.count()` of them.
  void prepare(const AnyImage& from, float* out) const;
  // Runs the net on `count` images that `fill` writes, on `thread`, to the net's input.
  void run(int64_t count, const std::function<void(float*)>& fill,
           std::vector<std::vector<double>>* out);

  std::vector<Ranking> rankings(const std::vector<std::vector<double>>& probabilities,
                                int top) const;

  int64_t batch;
  std::vector<std::string> names;  // of classes, by label
  std::optional<Transformer> transformer;
  Shape image;  // (C,H,W) of the input
  std::string input, scores;
  bool are_probabilities = false;
  int64_t classes = 0;
  std::string device;
  std::shared_ptr<Backend> backend;  // this and the net: on `thread` only
  std::unique_ptr<Net> net;
  WorkThread thread;  // last
};

void Classifier::Impl::load(const ClassifierOptions& given) {
  flush_denormals();
  // Also where it stays as it is: libraries' own parallel regions have a number for each thread.
  set_num_threads(given.threads > 0 ? given.threads : num_threads());
  const std::optional<DType> math = math_type(given.math);
  if (!math) throw ConfigError("math is FLOAT32, BFLOAT16 or FLOAT16, not '" + given.math + "'");

  Model model = read_model(given);
  for (const std::string& note : model.weights.notes) VLOG(1) << note;
  const Preprocessing rule = preprocessing_of(model);
  transformer.emplace(rule);
  names = given.labels.empty() ? std::move(model.names) : read_label_names(given.labels);
  scores = score_blob(model.net, model.graph);
  are_probabilities = is_softmax_top(model.net, model.graph, scores);

  const std::map<std::string, Shape> shapes = data_shapes(model, rule, batch);
  model.graph.input_shapes = shapes;
  const Graph graph = build_graph(model.net, model.graph);
  const Value& value = image_input(graph);
  input = value.name;
  image = {value.desc.shape[1], value.desc.shape[2], value.desc.shape[3]};
  classes = graph.value(graph.blobs.at(scores)).desc.shape.count_from(1);

  backend = open_device(given.device);
  if (const std::string obstacle = math_obstacle(*math, *backend); !obstacle.empty()) {
    throw DeviceError("math " + given.math + ": " + obstacle + "; use FLOAT32");
  }
  backend->configure({});
  device = backend->description();
  NetOptions options;
  options.plan.math = *math;
  options.locate = model.graph.locate;
  net = std::make_unique<Net>(std::move(model.net), backend, options,
                              std::map<std::string, Shape>(), shapes);
  net->initialize(0);
  const LoadReport report = load_weights(*net, model.weights);
  VLOG(1) << model.weights.path << ": " << report.str();
}

Shape Classifier::Impl::prepared_shape(const Record& record) const {
  try {
    return transformer->output_shape(record.shape);
  } catch (const ConfigError& e) {
    throw ConfigError(record.key + ": " + e.what());
  }
}

void Classifier::Impl::prepare(const AnyImage& from, float* out) const {
  const Record record = record_of(from, transformer->decoding());
  if (const Shape shape = prepared_shape(record); shape != image) {
    throw ConfigError(record.key + " becomes " + shape.str() + ", but the net's input is " +
                      image.str());
  }
  transformer->apply(record, 0, 0, out);
}

void Classifier::Impl::run(int64_t count, const std::function<void(float*)>& fill,
                           std::vector<std::vector<double>>* out) {
  std::vector<float> values;
  thread.run([&] {
    Session& session = net->session(TEST, count, {}, {scores});
    fill(net->input(session, input).as<float>());
    net->forward(session);
    values = net->read(session, scores).data;
  });
  const std::span<const float> all = values;
  for (int64_t i = 0; i < count; ++i) {
    out->push_back(probabilities_of(
        all.subspan(static_cast<size_t>(i * classes), static_cast<size_t>(classes)),
        are_probabilities));
  }
}

std::vector<Ranking> Classifier::Impl::rankings(
    const std::vector<std::vector<double>>& probabilities, int top) const {
  std::vector<Ranking> out;
  for (const std::vector<double>& of_image : probabilities) {
    Ranking ranking;
    for (const Guess& guess : best_guesses(of_image, top)) {
      ranking.push_back({guess.label, label_name(names, guess.label), guess.probability});
    }
    out.push_back(std::move(ranking));
  }
  return out;
}

Classifier::Classifier(const ClassifierOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&& other) noexcept = default;
Classifier& Classifier::operator=(Classifier&& other) noexcept = default;

std::vector<std::vector<double>> Classifier::probabilities(std::span<const AnyImage> images) const {
  const int64_t size = impl_->image.count();
  std::vector<std::vector<double>> out;
  if (images.size() == 1) {
    std::vector<float> prepared(static_cast<size_t>(size));
    impl_->prepare(images[0], prepared.data());
    impl_->run(
        1, [&](float* input) { std::copy(prepared.begin(), prepared.end(), input); }, &out);
    return out;
  }
  while (!images.empty()) {
    const auto part = images.first(std::min(images.size(), static_cast<size_t>(impl_->batch)));
    images = images.subspan(part.size());
    const auto count = static_cast<int64_t>(part.size());
    const auto fill = [&](float* input) {
      parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          impl_->prepare(part[static_cast<size_t>(i)], input + i * size);
        }
      });
    };
    impl_->run(count, fill, &out);
  }
  return out;
}

std::vector<std::vector<double>> Classifier::tensor_probabilities(std::span<const float> values,
                                                                  int64_t count) const {
  const int64_t size = impl_->image.count();
  if (count < 0 || count > static_cast<int64_t>(values.size()) ||
      static_cast<int64_t>(values.size()) != count * size) {
    throw ConfigError(std::to_string(values.size()) + " values are not " + std::to_string(count) +
                      " inputs of shape " + impl_->image.str());
  }
  std::vector<std::vector<double>> out;
  for (int64_t begin = 0; begin < count; begin += impl_->batch) {
    const int64_t images = std::min(impl_->batch, count - begin);
    const float* first = values.data() + begin * size;
    impl_->run(
        images, [&](float* input) { std::copy_n(first, images * size, input); }, &out);
  }
  return out;
}

std::vector<Ranking> Classifier::classify(std::span<const AnyImage> images, int top) const {
  check_top(top);
  return impl_->rankings(probabilities(images), top);
}

Ranking Classifier::classify(const AnyImage& image, int top) const {
  return classify(std::span(&image, 1), top).front();
}

std::vector<Ranking> Classifier::classify_tensor(std::span<const float> values, int64_t count,
                                                 int top) const {
  check_top(top);
  return impl_->rankings(tensor_probabilities(values, count), top);
}

int64_t Classifier::classes() const { return impl_->classes; }
std::string Classifier::class_name(int64_t label) const { return label_name(impl_->names, label); }
int64_t Classifier::channels() const { return impl_->image[0]; }
int64_t Classifier::height() const { return impl_->image[1]; }
int64_t Classifier::width() const { return impl_->image[2]; }
std::string Classifier::device() const { return impl_->device; }

}  // namespace resnet
