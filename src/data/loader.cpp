#include "resnet/data/loader.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <iterator>
#include <limits>
#include <optional>

#include "data/permutation.h"
#include "data/prefetcher.h"
#include "resnet/base/parallel.h"

namespace resnet {
namespace {

// A record that was left out.
struct BadRecord {
  int64_t index;
  std::string fact;
};

// What preparing an image, or a batch of them, brought beside the image.
struct Outcome {
  std::vector<BadRecord> bad;  // in the order of the stream
  StageSeconds seconds;
};

// Where images go: as floats, or as 8-bit levels with their placements. What is null is left out.
struct Target {
  float* data = nullptr;
  uint8_t* levels = nullptr;
  float* places = nullptr;
  float* labels = nullptr;

  // That of image i, of `elements` values.
  Target image(int64_t i, int64_t elements) const {
    return {data ? data + i * elements : nullptr, levels ? levels + i * elements : nullptr,
            places ? places + i * placement::kSize : nullptr, labels ? labels + i : nullptr};
  }
};

struct PreparedBatch {
  std::vector<float> data, places, labels;
  std::vector<uint8_t> levels;
  Outcome outcome;
};

void add(const StageSeconds& from, StageSeconds* sum) {
  sum->read += from.read;
  sum->decode += from.decode;
  sum->resize += from.resize;
  sum->write += from.write;
  sum->copy += from.copy;
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

struct Loader::State {
  State(SourcePtr from, Transformer with, const LoaderOptions& how)
      : source(std::move(from)),
        transformer(std::move(with)),
        options(how),
        order(options.seed, source->size(), options.shuffle && options.phase == TRAIN) {
    if (options.batch < 1) throw ConfigError(source->name() + ": batch_size must be at least 1");
    if (options.skip_bad < 0) throw ConfigError("skip_bad must not be negative");
    if (source->size() > std::numeric_limits<uint32_t>::max()) {
      throw ConfigError(source->name() + ": more than 2^32 records");
    }
    if (options.phase == TEST) options.skip_bad = 0;
    decoded = first_shape();
    try {
      record = transformer.output_shape(decoded);
    } catch (const ConfigError& error) {
      throw ConfigError(source->name() + ": " + error.what());
    }
  }

  Shape first_shape() const {
    for (int64_t i = 0;; ++i) {
      try {
        const Record first = source->read(i);
        return Image(first, transformer.decoding(), source->name()).shape();
      } catch (const DataError&) {
        if (i >= options.skip_bad || i + 1 == source->size()) throw;
      }
    }
  }

  // Images in the batch that starts at `begin`.
  int64_t count_at(int64_t begin) const {
    if (options.phase == TRAIN) return options.batch;
    return std::clamp<int64_t>(source->size() - begin, 0, options.batch);
  }

  // The image for a stream position. With skip_bad, that of the next position with a good record, for as
  // many bad ones as may be left out at all.
  void prepare_image(int64_t at, const Target& to, Outcome* outcome) const {
    for (int64_t place = at;; ++place) {
      const int64_t index = order.records(place, 1).front();
      try {
        return read_image(index, place, to, &outcome->seconds);
      } catch (const DataError& error) {
        if (place - at >= options.skip_bad) throw;
        outcome->bad.push_back({index, error.what()});
      }
    }
  }

  void read_image(int64_t index, int64_t place, const Target& to, StageSeconds* seconds) const {
    auto start = Clock::now();
    const Record read = source->read(index);
    const auto lap = [&](double StageSeconds::*stage) {
      if (!options.time_stages) return;
      const auto now = Clock::now();
      seconds->*stage += std::chrono::duration<double>(now - start).count();
      start = now;
    };
    lap(&StageSeconds::read);
    if (to.data || to.levels) {
      Image image(read, transformer.decoding(), source->name());
      check_shape(image);
      lap(&StageSeconds::decode);
      StageSeconds* timed = options.time_stages ? seconds : nullptr;
      if (to.levels) {
        transformer.apply(image, options.seed, place, to.levels, to.places, timed);
      } else {
        transformer.apply(image, options.seed, place, to.data, timed);
      }
    }
    if (to.labels) *to.labels = static_cast<float>(read.label);
  }

  // A wrong label is a mistake in the set, not a bad record.
  void check_label(int64_t at, float label) const {
    if (options.label_limit == 0 || (label >= 0 && label < static_cast<float>(options.label_limit)))
      return;
    throw record_error(source->name(), source->key(order.records(at, 1).front()),
                       "label " + std::to_string(std::llround(label)) + " is outside [0," +
                           std::to_string(options.label_limit) + ")");
  }

  void check_shape(const Image& image) const {
    const Shape& shape = image.shape();
    if (shape == decoded) return;
    std::string fact =
        "its shape " + shape.str() + " differs from the first record's " + decoded.str();
    try {
      if (transformer.output_shape(shape) == record) return;
      fact += "; set crop_size";
    } catch (const ConfigError& error) {
      fact += "; " + std::string(error.what());
    }
    throw record_error(source->name(), image.record().key, fact);
  }

  // The batch that starts at `begin`, by the calling thread alone or by the compute team. Of
  // several errors the first is thrown, whichever thread met it.
  Outcome prepare(int64_t begin, bool team, const Target& to) const {
    const int64_t count = count_at(begin), elements = record.count();
    std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
    std::vector<Outcome> outcomes(static_cast<size_t>(count));
    const auto body = [&](int64_t from, int64_t until) {
      for (int64_t i = from; i < until; ++i) {
        const auto at = static_cast<size_t>(i);
        try {
          float label = 0;
          Target image = to.image(i, elements);
          image.labels = &label;
          prepare_image(begin + i, image, &outcomes[at]);
          check_label(begin + i, label);
          if (to.labels) to.labels[i] = label;
        } catch (...) {
          errors[at] = std::current_exception();
        }
      }
    };
    team ? parallel_for(count, 1, body) : body(0, count);
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
    Outcome all;
    for (Outcome& one : outcomes) {
      std::move(one.bad.begin(), one.bad.end(), std::back_inserter(all.bad));
      add(one.seconds, &all.seconds);
    }
    return all;
  }

  // Counts the records that the batch left out, when it is delivered: whoever prepared it, and when.
  void accept(const Outcome& outcome) {
    for (const BadRecord& found : outcome.bad) {
      if (std::find(bad.begin(), bad.end(), found.index) != bad.end()) continue;
      if (static_cast<int64_t>(bad.size()) == options.skip_bad) {
        throw DataError(found.fact + "; it is bad record " + std::to_string(bad.size() + 1) + ", " +
                        std::to_string(options.skip_bad) + " may be skipped (--skip_bad)");
      }
      LOG(WARNING) << found.fact << "; skipped (" << bad.size() + 1 << " of at most "
                   << options.skip_bad << ")";
      bad.push_back(found.index);
    }
    add(outcome.seconds, &seconds);
  }

  void start_prefetch(bool levels) {
    ready.clear();
    ready.resize(static_cast<size_t>(std::max<int64_t>(options.prefetch, 1)));
    const auto values = static_cast<size_t>(options.batch * record.count());
    for (PreparedBatch& batch : ready) {
      batch.data.resize(levels ? 0 : values);
      batch.levels.resize(levels ? values : 0);
      batch.places.resize(levels ? static_cast<size_t>(options.batch) * placement::kSize : 0);
      batch.labels.resize(static_cast<size_t>(options.batch));
    }
    prefetches_levels = levels;
    const auto work = [this, levels, start = position](int64_t ticket, size_t slot) {
      PreparedBatch& batch = ready[slot];
      Target to{.labels = batch.labels.data()};
      if (levels) {
        to.levels = batch.levels.data();
        to.places = batch.places.data();
      } else {
        to.data = batch.data.data();
      }
      batch.outcome = prepare(start + ticket * options.batch, false, to);
    };
    prefetcher.emplace(options.loader_threads, ready.size(), work);
  }

  void take_prepared(int64_t count, const Target& to) {
    const bool levels = to.levels != nullptr;
    if (prefetcher && levels != prefetches_levels) prefetcher.reset();
    if (!prefetcher) start_prefetch(levels);
    const PreparedBatch& batch = ready[prefetcher->take()];
    accept(batch.outcome);
    const auto start = Clock::now();
    if (to.data) std::copy_n(batch.data.begin(), count * record.count(), to.data);
    if (levels) {
      std::copy_n(batch.levels.begin(), count * record.count(), to.levels);
      std::copy_n(batch.places.begin(), count * placement::kSize, to.places);
    }
    if (to.labels) std::copy_n(batch.labels.begin(), count, to.labels);
    prefetcher->release();
    if (options.time_stages) seconds.copy += seconds_since(start);
  }

  int64_t next(const Target& to) {
    const int64_t count = count_at(position);
    if (count == 0) return 0;
    const auto start = Clock::now();
    if (options.loader_threads > 0) {
      take_prepared(count, to);
    } else {
      accept(prepare(position, true, to));
    }
    wait_seconds += seconds_since(start);
    position += count;
    return count;
  }

  SourcePtr source;
  Transformer transformer;
  LoaderOptions options;
  StreamOrder order;
  Shape decoded, record;  // (C,H,W) of the first record, and after the transformation
  int64_t position = 0;
  double wait_seconds = 0;
  StageSeconds seconds;
  std::vector<int64_t> bad;  // records that were left out, in the order of the stream
  std::vector<PreparedBatch> ready;
  bool prefetches_levels = false;
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
  return state_->next({.data = data, .labels = labels});
}

int64_t Loader::next(uint8_t* levels, float* places, float* labels) {
  return state_->next({.levels = levels, .places = places, .labels = labels});
}

PixelRule Loader::pixel_rule() const { return state_->transformer.pixel_rule(state_->record[0]); }

void Loader::seek(int64_t position) {
  state_->prefetcher.reset();
  state_->position = position;
}

std::vector<int64_t> Loader::bad_records() const { return state_->bad; }
void Loader::set_bad_records(std::vector<int64_t> records) { state_->bad = std::move(records); }
StageSeconds Loader::stage_seconds() const { return state_->seconds; }

int64_t Loader::record_index(int64_t position) const {
  return state_->order.records(position, 1).front();
}

std::vector<int64_t> Loader::record_indices(int64_t position, int64_t count) const {
  return state_->order.records(position, count);
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
  // Files of images are colour and grey mixed; Caffe's ImageData reads them as colour, too.
  const bool of_files = layer.data_param().backend() == DataParameter::FOLDER ||
                        layer.data_param().backend() == DataParameter::LIST ||
                        layer.data_param().backend() == DataParameter::TAR;
  if (of_files && !transform.force_gray()) transform.set_force_color(true);
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
