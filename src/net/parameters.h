// The Net's own memory: weights, momenta and state, and the flat arena of what shards sum up (gradients,
// then batch statistics).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "resnet/backend/backend.h"
#include "resnet/graph/graph.h"

namespace resnet {

class ParameterStore {
 public:
  struct Slot {
    TensorDesc desc;
    // Bytes in the arena of weights; with a gradient, the same in those of momenta and gradients.
    int64_t offset = 0;
  };

  // Says where everything lies, and how large it is. descs: storage of each parameter. statistics:
  // name -> (2,C) desc of every BatchNorm that moves. Without `training` there are no momenta and
  // gradients. Copies of all weights are kept in the type `copies`; f32: none.
  void place(const Backend& backend, const std::vector<Parameter>& parameters,
             const std::vector<TensorDesc>& descs,
             const std::vector<std::pair<std::string, TensorDesc>>& statistics, bool training,
             DType copies);
  // Takes memory for what was placed; nothing is lost if that fails.
  void allocate(Backend& backend);
  bool allocated() const { return allocated_; }

  Tensor weights(int index) const;
  Tensor copy(int index) const;      // of weights in the type of copies
  Tensor history(int index) const;   // learnable only, with training
  Tensor gradient(int index) const;  // learnable only, with training
  Tensor statistics(const std::string& name) const;

  // Neighbours in the arenas as one flat plain tensor each: parameters that have gradients, from number
  // `first` to `last`, with what pads them. All of their bytes count as elements of the weights' type.
  struct Flat {
    Tensor weights, history, gradient;
    Tensor copy;  // of the weights, if there are copies
  };
  Flat flat(int first, int last) const;

  // Everything that shards sum up, as one flat plain tensor, and its two parts.
  Tensor partial() const { return partial_.view(flat(partial_count_)); }
  Tensor gradients() const { return partial_.view(flat(gradient_count_)); }
  Tensor all_statistics() const {
    return partial_.view(flat(partial_count_ - gradient_count_), gradient_count_ * size_of(dtype_));
  }
  int64_t bytes() const {
    return weights_.bytes() + copies_.bytes() + history_.bytes() + partial_.bytes();
  }
  // Of what was placed, allocated or not: all of it, gradients, and what shards sum up.
  int64_t placed_bytes() const;
  int64_t gradient_bytes() const { return gradient_count_ * size_of(dtype_); }
  int64_t partial_bytes() const { return partial_count_ * size_of(dtype_); }
  bool has_copies() const { return copy_type_ != DType::f32; }

 private:
  TensorDesc flat(int64_t count) const {
    return {.shape = {count}, .dtype = dtype_, .layout = Layout::nchw()};
  }

  bool allocated_ = false;
  DType dtype_ = DType::f32;
  std::vector<Slot> slots_;
  std::map<std::string, std::pair<TensorDesc, int64_t>> statistics_;
  int64_t weight_count_ = 0, partial_count_ = 0, gradient_count_ = 0;  // elements
  DType copy_type_ = DType::f32;
  Buffer weights_, copies_, history_, partial_;
};

// Values of a fresh weight by its filler, row-major, as Caffe's fillers define them: a pure function of
// (filler, shape, seed, index). Throws ConfigError for an unknown filler type.
std::vector<double> fill(const FillerParameter& filler, const Shape& shape, uint64_t seed,
                         uint64_t index);

}  // namespace resnet
