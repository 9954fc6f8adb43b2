#include "eval/fork_batch_norm.h"

#include "resnet/base/error.h"

namespace resnet {
namespace {

constexpr int kCaffeBlobs = 3, kMostBlobs = 5;

// The Scale layer behind layer i: the next layer that reads its top.
const LayerParameter* scale_after(const NetParameter& net, int i) {
  if (net.layer(i).top_size() == 0) return nullptr;
  for (int k = i + 1; k < net.layer_size(); ++k) {
    const LayerParameter& layer = net.layer(k);
    if (layer.bottom_size() == 0 || layer.bottom(0) != net.layer(i).top(0)) continue;
    return layer.type() == "Scale" ? &layer : nullptr;
  }
  return nullptr;
}

class Splitter {
 public:
  Splitter(const NetParameter& net, std::string path, BlobIndex* blobs, std::deque<NamedBlob>* own)
      : net_(net), path_(std::move(path)), blobs_(*blobs), own_(*own) {}

  void split(int i) {
    const std::string& name = net_.layer(i).name();
    const NamedBlob* found[kMostBlobs] = {};
    for (int k = 0; k < kMostBlobs; ++k) found[k] = find(name, k);
    if (found[kCaffeBlobs] == nullptr) return;
    const std::string where = path_ + ": layer '" + name + "': ";
    for (int k = 0; k < kCaffeBlobs; ++k) {
      if (found[k] == nullptr) throw DataError(where + "has no blob " + std::to_string(k));
    }
    const LayerParameter* scale = scale_after(net_, i);
    if (scale == nullptr) {
      throw DataError(
          where +
          "its BatchNorm has gamma and beta, as NVIDIA's and Intel's Caffe save it; add "
          "a Scale layer with bias_term: true behind it in the net, which takes them");
    }
    if (find(scale->name(), 0) != nullptr) {
      throw DataError(where + "has gamma and beta of its own, and the Scale layer '" +
                      scale->name() + "' behind it has weights too; the file has one too many");
    }
    const NamedBlob* beta = found[kMostBlobs - 1];
    const NamedBlob *mean = found[0], *variance = found[1], *gamma = found[kCaffeBlobs];
    const bool of_digits = beta != nullptr && beta->data.size() == 1 && found[2]->data.size() > 1;
    if (of_digits) {
      gamma = found[0];
      beta = found[1];
      mean = found[2];
      variance = found[3];
      own_.push_back({name, 2, Shape{1}, false, {1.0F}});
      blobs_[{name, 2}] = &own_.back();
    }
    if (beta != nullptr && !scale->scale_param().bias_term()) {
      throw DataError(where + "its BatchNorm has a beta, but the Scale layer '" + scale->name() +
                      "' behind it has none; set its bias_term: true");
    }
    // Copies first: the entries name each other's blobs.
    NamedBlob moved[] = {flat(*mean, name, 0), flat(*variance, name, 1),
                         flat(*gamma, scale->name(), 0)};
    for (NamedBlob& blob : moved) put(std::move(blob));
    if (beta != nullptr) put(flat(*beta, scale->name(), 1));
    blobs_.erase({name, kCaffeBlobs});
    blobs_.erase({name, kMostBlobs - 1});
  }

 private:
  const NamedBlob* find(const std::string& layer, int index) const {
    const auto found = blobs_.find({layer, index});
    return found == blobs_.end() ? nullptr : found->second;
  }

  // The forks store what belongs to channels as (C) or (1,C,1,1).
  static NamedBlob flat(const NamedBlob& blob, const std::string& layer, int index) {
    return {layer, index, Shape{static_cast<int64_t>(blob.data.size())}, false, blob.data};
  }

  void put(NamedBlob blob) {
    own_.push_back(std::move(blob));
    blobs_[{own_.back().layer, own_.back().index}] = &own_.back();
  }

  const NetParameter& net_;
  std::string path_;
  BlobIndex& blobs_;
  std::deque<NamedBlob>& own_;
};

}  // namespace

void split_batch_norms(const NetParameter& net, const std::string& path, BlobIndex* blobs,
                       std::deque<NamedBlob>* own) {
  Splitter splitter(net, path, blobs, own);
  for (int i = 0; i < net.layer_size(); ++i) {
    if (net.layer(i).type() == "BatchNorm") splitter.split(i);
  }
}

}  // namespace resnet
