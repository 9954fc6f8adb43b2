#include "resnet/data/loader.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <optional>

#include "data/permutation.h"
#include "data/prefetcher.h"
#include "resnet/base/parallel.h"

namespace resnet {
namespace {

struct PreparedBatch {
  std::vector<float> data, labels;
};

}  // namespace

struct Loader::State {
  State(SourcePtr from, Transformer with, const LoaderOptions& how)
      : source(std::move(from)),
        transformer(std::move(with)),
        options(how),
        order(options.seed, source->size(), options.shuffle && options.phase == TRAIN) {
    if (options.batch < 1) throw ConfigError(source->name() + ": batch_size must be at least 1");
    if (source->size() > std::numeric_limits<uint32_t>::max()) {
      throw ConfigError(source->name() + ": more than 2^32 records");
    }
    decoded = read(0).shape;
    try {
      record = transformer.output_shape(decoded);
    } catch (const ConfigError& error) {
      throw ConfigError(source->name() + ": " + error.what());
    }
  }

  Record read(int64_t index) const {
    Record out = source->read(index);
    decode(out, transformer.colour(), source->name());
    return out;
  }

  // Images in the batch that starts at `begin`.
  int64_t count_at(int64_t begin) const {
    if (options.phase == TRAIN) return options.batch;
    return std::clamp<int64_t>(source->size() - begin, 0, options.batch);
  }

  // One image at a stream position; either destination may be null.
  void prepare_image(int64_t index, int64_t at, float* data, float* label) const {
    const Record image = read(index);
    if (options.label_limit > 0 && (image.label < 0 || image.label >= options.label_limit)) {
      throw record_error(source->name(), image.key,
                         "label " + std::to_string(image.label) + " is outside [0," +
                             std::to_string(options.label_limit) + ")");
    }
    if (label) *label = static_cast<float>(image.label);
    if (!data) return;
    check_shape(image);
    transformer.apply(image, options.seed, at, data);
  }

  void check_shape(const Record& image) const {
    if (image.shape == decoded) return;
    std::string fact =
        "its shape " + image.shape.str() + " differs from the first record's " + decoded.str();
    try {
      if (transformer.output_shape(image.shape) == record) return;
      fact += "; set crop_size";
    } catch (const ConfigError& error) {
      fact += "; " + std::string(error.what());
    }
    throw record_error(source->name(), image.key, fact);
  }

  // The batch that starts at `begin`, by the calling thread alone or by the compute team. Of
  // several bad records the first is reported, whichever thread met it.
  void prepare(int64_t begin, bool team, float* data, float* labels) const {
    const int64_t count = count_at(begin), elements = record.count();
    const std::vector<int64_t> records = order.records(begin, count);
    std::vector<std::exception_ptr> errors(records.size());
    const auto body = [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const auto at = static_cast<size_t>(i);
        try {
          prepare_image(records[at], begin + i, data ? data + i * elements : nullptr,
                        labels ? labels + i : nullptr);
        } catch (...) {
          errors[at] = std::current_exception();
        }
      }
    };
    team ? parallel_for(count, 1, body) : body(0, count);
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

  void start_prefetch() {
    ready.resize(static_cast<size_t>(std::max<int64_t>(options.prefetch, 1)));
    for (PreparedBatch& batch : ready) {
      batch.data.resize(static_cast<size_t>(options.batch * record.count()));
      batch.labels.resize(static_cast<size_t>(options.batch));
    }
    const auto work = [this, start = position](int64_t ticket, size_t slot) {
      prepare(start + ticket * options.batch, false, ready[slot].data.data(),
              ready[slot].labels.data());
    };
    prefetcher.emplace(options.loader_threads, ready.size(), work);
  }

  void take_prepared(int64_t count, float* data, float* labels) {
    if (!prefetcher) start_prefetch();
    const PreparedBatch& batch = ready[prefetcher->take()];
    if (data) std::copy_n(batch.data.begin(), count * record.count(), data);
    if (labels) std::copy_n(batch.labels.begin(), count, labels);
    prefetcher->release();
  }

  SourcePtr source;
  Transformer transformer;
  LoaderOptions options;
  StreamOrder order;
  Shape decoded, record;  // (C,H,W) of the first record, and after the transformation
  int64_t position = 0;
  double wait_seconds = 0;
  std::vector<PreparedBatch> ready;
  std::optional<Prefetcher> prefetcher;  // after what its threads use
};

Loader::Loader(SourcePtr source, Transformer transformer, const LoaderOptions& options)
    : state_(std::make_unique<State>(std::move(source), std::move(transformer), options)) {}

Loader::~Loader() = default;

Shape Loader::record_shape() const { return state_->record; }
int64_t Loader::size() const { return state_->source->size(); }
const DataSource& Loader::source() const { return *state_->source; }
const Transformer& Loader::transformer() const { return state_->transformer; }
const LoaderOptions& Loader::options() const { return state_->options; }
int64_t Loader::position() const { return state_->position; }
double Loader::wait_seconds() const { return state_->wait_seconds; }

Shape Loader::batch_shape() const {
  std::vector<int64_t> dims = state_->record.dims();
  dims.insert(dims.begin(), state_->options.batch);
  return Shape(dims);
}

int64_t Loader::next(float* data, float* labels) {
  using Clock = std::chrono::steady_clock;
  const int64_t count = state_->count_at(state_->position);
  if (count == 0) return 0;
  const auto start = Clock::now();
  if (state_->options.loader_threads > 0) {
    state_->take_prepared(count, data, labels);
  } else {
    state_->prepare(state_->position, true, data, labels);
  }
  state_->wait_seconds += std::chrono::duration<double>(Clock::now() - start).count();
  state_->position += count;
  return count;
}

void Loader::seek(int64_t position) {
  state_->prefetcher.reset();
  state_->position = position;
}

int64_t Loader::record_index(int64_t position) const {
  return state_->order.records(position, 1).front();
}

std::vector<std::string> Loader::record_keys(int64_t position, int64_t count) const {
  std::vector<std::string> keys;
  for (const int64_t index : state_->order.records(position, count)) {
    keys.push_back(state_->source->key(index));
  }
  return keys;
}

Preprocessing Loader::preprocessing() const {
  Preprocessing out = state_->transformer.preprocessing(state_->decoded);
  for (const std::string& name : state_->source->class_names()) out.add_class_name(name);
  return out;
}

std::unique_ptr<Loader> open_loader(const LayerParameter& layer, LoaderOptions options,
                                    const std::string& base_dir) {
  SourcePtr source = open_source(layer, options.phase, base_dir);
  TransformationParameter transform = layer.transform_param();
  if (layer.data_param().force_encoded_color()) transform.set_force_color(true);
  if (layer.type() == "DummyData") {
    options.batch = source->size();
  } else {
    options.batch = layer.data_param().batch_size();
  }
  options.shuffle = layer.data_param().shuffle();
  try {
    return std::make_unique<Loader>(std::move(source),
                                    Transformer(transform, options.phase, base_dir), options);
  } catch (const ConfigError& error) {
    throw ConfigError("layer '" + layer.name() + "': " + error.what());
  }
}

}  // namespace resnet
