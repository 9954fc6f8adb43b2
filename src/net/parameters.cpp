#include "net/parameters.h"

#include <algorithm>
#include <cmath>

#include "resnet/base/error.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

// Advances `end` by the aligned size of `bytes`; returns the offset before.
int64_t take(int64_t& end, int64_t bytes) {
  const int64_t offset = end;
  end += (bytes + 63) / 64 * 64;
  return offset;
}

}  // namespace

void ParameterStore::place(const Backend& backend, const std::vector<Parameter>& parameters,
                           const std::vector<TensorDesc>& descs,
                           const std::vector<std::pair<std::string, TensorDesc>>& statistics,
                           bool training, DType copies) {
  // What has a gradient comes first, so that it lies at equal places in all arenas.
  int64_t end = 0;
  slots_.assign(parameters.size(), {});
  const auto place = [&](bool trained) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      if ((parameters[i].learnable && training) != trained) continue;
      slots_[i] = {.desc = descs[i], .offset = take(end, backend.bytes(descs[i]))};
      dtype_ = descs[i].dtype;
    }
  };
  place(true);
  const int64_t trained_end = end;
  place(false);
  int64_t partial_end = trained_end;
  gradient_count_ = partial_end / size_of(dtype_);
  for (const auto& [name, desc] : statistics) {
    statistics_[name] = {desc, take(partial_end, backend.bytes(desc))};
  }
  partial_count_ = partial_end / size_of(dtype_);
  weight_count_ = end / size_of(dtype_);
  copy_type_ = copies;
}

void ParameterStore::allocate(Backend& backend) {
  weights_ = backend.allocate(weight_count_ * size_of(dtype_));
  if (has_copies()) copies_ = backend.allocate(weight_count_ * size_of(copy_type_));
  history_ = backend.allocate(gradient_bytes());
  partial_ = backend.allocate(partial_bytes());
  allocated_ = true;
}

int64_t ParameterStore::placed_bytes() const {
  const int64_t copies = has_copies() ? weight_count_ * size_of(copy_type_) : 0;
  return weight_count_ * size_of(dtype_) + copies + gradient_bytes() + partial_bytes();
}

Tensor ParameterStore::weights(int index) const {
  const Slot& slot = slots_[static_cast<size_t>(index)];
  return weights_.view(slot.desc, slot.offset);
}
Tensor ParameterStore::copy(int index) const {
  const Slot& slot = slots_[static_cast<size_t>(index)];
  TensorDesc desc = slot.desc;
  desc.dtype = copy_type_;
  return copies_.view(desc, slot.offset / size_of(dtype_) * size_of(copy_type_));
}
Tensor ParameterStore::history(int index) const {
  const Slot& slot = slots_[static_cast<size_t>(index)];
  return history_.view(slot.desc, slot.offset);
}
Tensor ParameterStore::gradient(int index) const {
  const Slot& slot = slots_[static_cast<size_t>(index)];
  return partial_.view(slot.desc, slot.offset);
}
Tensor ParameterStore::statistics(const std::string& name) const {
  const auto& [desc, offset] = statistics_.at(name);
  return partial_.view(desc, offset);
}

ParameterStore::Flat ParameterStore::flat(int first, int last) const {
  const int64_t begin = slots_[static_cast<size_t>(first)].offset;
  const int64_t last_begin = slots_[static_cast<size_t>(last)].offset;
  int64_t end = gradient_count_ * size_of(dtype_);
  for (const Slot& slot : slots_) {
    if (slot.offset > last_begin) end = std::min(end, slot.offset);
  }
  const TensorDesc desc = flat((end - begin) / size_of(dtype_));
  Flat parts{.weights = weights_.view(desc, begin),
             .history = history_.view(desc, begin),
             .gradient = partial_.view(desc, begin),
             .copy = {}};
  if (has_copies()) {
    TensorDesc copy_desc = desc;
    copy_desc.dtype = copy_type_;
    parts.copy = copies_.view(copy_desc, begin / size_of(dtype_) * size_of(copy_type_));
  }
  return parts;
}

std::vector<double> fill(const FillerParameter& filler, const Shape& shape, uint64_t seed,
                         uint64_t index) {
  Random random(seed, index, Use::filler);
  std::vector<double> values(static_cast<size_t>(shape.count()));
  // Caffe's fans: of a convolution (O,C,kh,kw) those of one output (input) element.
  const double fan_in = shape.rank() > 0 ? static_cast<double>(shape.count_from(1)) : 1.0;
  const double fan_out = shape.rank() > 1
                             ? static_cast<double>(shape.count()) / static_cast<double>(shape[1])
                             : fan_in;
  double fan = fan_in;
  if (filler.variance_norm() == FillerParameter::FAN_OUT) fan = fan_out;
  if (filler.variance_norm() == FillerParameter::AVERAGE) fan = (fan_in + fan_out) / 2;

  const auto uniform = [&](double low, double high) {
    for (double& v : values) v = low + (high - low) * random.uniform();
  };
  const auto gaussian = [&](double mean, double std) {
    for (double& v : values) v = mean + std * random.normal();
  };
  if (filler.type() == "constant") {
    values.assign(values.size(), filler.value());
  } else if (filler.type() == "gaussian") {
    gaussian(filler.mean(), filler.std());
  } else if (filler.type() == "uniform") {
    uniform(filler.min(), filler.max());
  } else if (filler.type() == "xavier") {  // Glorot & Bengio 2010
    const double scale = std::sqrt(3.0 / fan);
    uniform(-scale, scale);
  } else if (filler.type() == "msra") {  // He et al. 2015, "Delving deep into rectifiers"
    gaussian(0, std::sqrt(2.0 / fan));
  } else {
    throw ConfigError("unknown filler type '" + filler.type() +
                      "'; known are constant, gaussian, uniform, xavier, msra");
  }
  return values;
}

}  // namespace resnet
