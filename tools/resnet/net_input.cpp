#include "net_input.h"

#include <algorithm>

#include "cli.h"
#include "flags.h"
#include "npy.h"
#include "progress.h"
#include "resnet/base/error.h"
#include "resnet/base/parallel.h"
#include "resnet/data/image.h"
#include "resnet/data/source.h"
#include "resnet/data/transform.h"

namespace resnet::cli {
namespace {

constexpr int64_t kBatch = 16;  // images at a time, without --batch

// The input that takes images, (N,C,H,W). The other inputs are labels, which do not matter.
Tensor image_tensor(Net& net, Session& session) {
  for (const std::string& name : net.input_names(session)) {
    const Tensor tensor = net.input(session, name);
    if (tensor.desc.shape.rank() == 4) return tensor;
  }
  throw ConfigError("the net has no input for images, of shape (N,C,H,W)");
}

void check_fits(const std::string& what, const Shape& image, const Tensor& input) {
  const Shape& wanted = input.desc.shape;
  if (image == Shape{wanted[1], wanted[2], wanted[3]}) return;
  throw ConfigError(what + " becomes " + image.str() + ", but the net's input is " + wanted.str());
}

int64_t preferred_batch() { return FLAGS_batch > 0 ? FLAGS_batch : kBatch; }

class ImageInput : public NetInput {
 public:
  ImageInput(const NetFile& file, std::vector<std::string> paths,
             const Preprocessing& preprocessing)
      : paths_(std::move(paths)), transformer_(preprocessing) {
    shapes_ = shapes_for_images(file, TEST, shape_of(paths_[0], read(paths_[0])));
  }

  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  int64_t batch() const override { return preferred_batch(); }
  Shapes shapes() const override { return shapes_; }

  void fill(Net& net, Session& session, int64_t begin, int64_t count) override {
    const Tensor input = image_tensor(net, session);
    const auto first = paths_.begin() + begin;
    batch_.assign(first, first + count);
    parallel_for(count, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const std::string& path = batch_[static_cast<size_t>(i)];
        const Record record = read(path);
        const Shape shape = shape_of(path, record);
        check_fits(path, shape, input);
        transformer_.apply(record, 0, 0, input.as<float>() + i * shape.count());
      }
    });
  }

  std::vector<std::string> keys() const override { return batch_; }

 private:
  Record read(const std::string& path) const { return read_image(path, transformer_.decoding()); }

  Shape shape_of(const std::string& path, const Record& record) const {
    try {
      return transformer_.output_shape(record.shape);
    } catch (const ConfigError& e) {
      throw ConfigError(path + ": " + e.what());
    }
  }

  std::vector<std::string> paths_, batch_;
  Transformer transformer_;
  Shapes shapes_;
};

class ArrayInput : public NetInput {
 public:
  ArrayInput(const NetFile& file, const std::string& path) : path_(path), array_(read_npy(path)) {
    const Shape& shape = array_.shape;
    if (shape.rank() != 4 || shape.count() == 0) {
      throw DataError(path + ": the array has shape " + shape.str() + "; a net takes (N,C,H,W)");
    }
    image_ = {shape[1], shape[2], shape[3]};
    shapes_ = shapes_for_images(file, TEST, image_);
  }

  int64_t size() const override { return array_.shape[0]; }
  int64_t batch() const override { return preferred_batch(); }
  Shapes shapes() const override { return shapes_; }

  void fill(Net& net, Session& session, int64_t begin, int64_t count) override {
    const Tensor input = image_tensor(net, session);
    check_fits(path_, image_, input);
    std::copy_n(array_.data.begin() + begin * image_.count(), count * image_.count(),
                input.as<float>());
  }

 private:
  std::string path_;
  HostArray array_;
  Shape image_;
  Shapes shapes_;
};

class FeedInput : public NetInput {
 public:
  FeedInput(Feed feed, Shapes shapes) : feed_(std::move(feed)), shapes_(std::move(shapes)) {}

  int64_t size() const override { return feed_.records(); }
  int64_t batch() const override { return feed_.batch(); }
  Shapes shapes() const override { return shapes_; }
  void fill(Net& net, Session& session, int64_t, int64_t) override { feed_.fill(net, session); }
  std::vector<float> labels() const override { return feed_.labels(); }
  std::vector<std::string> keys() const override {
    std::vector<std::string> keys = feed_.last_keys();
    keys.resize(feed_.labels().size());  // those of the first data layer
    return keys;
  }

 private:
  Feed feed_;
  Shapes shapes_;
};

// The name of the input that takes images, as the file has it.
std::string image_blob(const NetFile& file) {
  const LayerParameter* layer = data_layer(file, TEST);
  if (layer != nullptr && layer->top_size() > 0) return layer->top(0);
  const Graph graph = build_graph(file.net, file.graph_options(TEST));
  for (const Input& input : graph.inputs) {
    if (graph.value(input.value).desc.shape.rank() == 4) return graph.value(input.value).name;
  }
  throw ConfigError("the net has no input for images, of shape (N,C,H,W)");
}

}  // namespace

std::unique_ptr<NetInput> image_input(const NetFile& file, std::vector<std::string> paths,
                                      const Preprocessing& preprocessing) {
  return std::make_unique<ImageInput>(file, std::move(paths), preprocessing);
}

std::unique_ptr<NetInput> array_input(const NetFile& file, const std::string& npy_path) {
  return std::make_unique<ArrayInput>(file, npy_path);
}

std::unique_ptr<NetInput> source_input(const NetFile& file, const std::string& source,
                                       const Preprocessing& preprocessing) {
  Feed feed = source_feed(file, source, preprocessing);
  Shapes shapes = shapes_for_images(file, TEST, feed.loader(0).record_shape());
  return std::make_unique<FeedInput>(std::move(feed), std::move(shapes));
}

Feed source_feed(const NetFile& file, const std::string& source,
                 const Preprocessing& preprocessing) {
  LoaderOptions options;
  options.batch = preferred_batch();
  options.loader_threads = FLAGS_loader_threads;
  auto loader =
      std::make_unique<Loader>(open_source(source, TEST), Transformer(preprocessing), options);
  const LayerParameter* layer = data_layer(file, TEST);
  const bool labelled = layer != nullptr && layer->top_size() > 1;
  return Feed(std::move(loader), image_blob(file), labelled ? layer->top(1) : "");
}

std::unique_ptr<Loader> open_net_loader(const NetFile& file, LoaderOptions options) {
  const LayerParameter* found = data_layer(file, options.phase);
  if (found == nullptr) {
    throw ConfigError("the net reads no data set in phase " + Phase_Name(options.phase));
  }
  LayerParameter layer = *found;
  if (options.batch > 0) {
    layer.mutable_data_param()->set_batch_size(static_cast<uint32_t>(options.batch));
  }
  if (!given("source")) return open_loader(layer, options, file.base_dir);
  options.batch = layer.data_param().batch_size();
  options.shuffle = layer.data_param().shuffle();
  return std::make_unique<Loader>(
      open_source(FLAGS_source, options.phase),
      Transformer(layer.transform_param(), options.phase, file.base_dir), options);
}

std::unique_ptr<NetInput> own_input(const NetFile& file) {
  Feed feed(file.net, file.feed_options(TEST));
  if (feed.empty()) {
    throw ConfigError("the net names no data set; give images, --input=FILE.npy or --source=PATH");
  }
  Shapes shapes = feed.shapes();
  return std::make_unique<FeedInput>(std::move(feed), std::move(shapes));
}

void run_batches(Net& net, NetInput& input, const std::vector<std::string>& keep,
                 const std::function<void(Session&, int64_t begin, int64_t count)>& each) {
  Progress progress("images");
  for (int64_t begin = 0; begin < input.size();) {
    const int64_t count = std::min(input.batch(), input.size() - begin);
    Session& session = net.session(TEST, count, {}, keep);
    input.fill(net, session, begin, count);
    net.forward(session);
    each(session, begin, count);
    begin += count;
    progress.show(begin, input.size());
  }
}

}  // namespace resnet::cli
