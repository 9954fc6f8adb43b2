// DummyData: records made from fillers.
#include "data/sources.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

// One value of a filler; `random` is consumed in order.
float draw(const FillerParameter& filler, Random& random) {
  if (filler.type() == "gaussian") {
    return filler.mean() + filler.std() * static_cast<float>(random.normal());
  }
  if (filler.type() == "uniform") {
    return filler.min() + (filler.max() - filler.min()) * random.uniform();
  }
  return filler.value();
}

class DummySource : public DataSource {
 public:
  explicit DummySource(const LayerParameter& layer)
      : name_("DummyData layer '" + layer.name() + "'") {
    const DummyDataParameter& param = layer.dummy_data_param();
    const int tops = layer.top_size();
    if (tops != 1 && tops != 2) fail("needs one top (data) or two (data, label)");
    const Shape batch = top_shape(param, 0, tops);
    if (batch.rank() < 2 || batch.count() == 0) {
      fail("data has shape " + batch.str() + ", but images and at least one more axis are needed");
    }
    size_ = batch[0];
    const std::vector<int64_t> dims = batch.dims();
    shape_ = Shape(std::vector<int64_t>(dims.begin() + 1, dims.end()));
    data_ = top_filler(param, 0, tops);
    if (tops == 2) {
      const Shape labels = top_shape(param, 1, tops);
      if (labels.rank() < 1 || labels[0] != size_ || labels.count() != size_) {
        fail("label has shape " + labels.str() + ", but one label for each of the " +
             std::to_string(size_) + " images is needed");
      }
      label_ = top_filler(param, 1, tops);
    }
    // Layers of one net draw different numbers.
    for (const char c : layer.name()) stream_ = (stream_ * 31 + static_cast<uint8_t>(c)) & 0xFFFFFF;
  }

  std::string name() const override { return name_; }
  int64_t size() const override { return size_; }
  std::string key(int64_t i) const override { return std::to_string(i); }

  Record read(int64_t i) const override {
    Random random(0, static_cast<uint64_t>(i), Use::dummy_data, stream_);
    Record record;
    record.key = key(i);
    record.shape = shape_;
    record.label = static_cast<int64_t>(draw(label_, random));
    record.floats.resize(static_cast<size_t>(shape_.count()));
    for (float& value : record.floats) value = draw(data_, random);
    return record;
  }

 private:
  [[noreturn]] void fail(const std::string& fact) const { throw ConfigError(name_ + ": " + fact); }

  // `shape` or the four legacy fields; one value serves all tops.
  Shape top_shape(const DummyDataParameter& param, int top, int tops) const {
    const auto pick = [&](int values, const char* field) {
      if (values != 1 && values != tops)
        fail(std::string("needs one ") + field + " or one per top");
      return values == 1 ? 0 : top;
    };
    if (param.shape_size() > 0) {
      const auto& dims = param.shape(pick(param.shape_size(), "shape")).dim();
      return Shape(std::vector<int64_t>(dims.begin(), dims.end()));
    }
    return {param.num(pick(param.num_size(), "num")),
            param.channels(pick(param.channels_size(), "channels")),
            param.height(pick(param.height_size(), "height")),
            param.width(pick(param.width_size(), "width"))};
  }

  FillerParameter top_filler(const DummyDataParameter& param, int top, int tops) const {
    const int fillers = param.data_filler_size();
    if (fillers == 0) return {};
    if (fillers != 1 && fillers != tops) fail("needs no data_filler, one, or one per top");
    const FillerParameter& filler = param.data_filler(fillers == 1 ? 0 : top);
    if (filler.type() != "constant" && filler.type() != "gaussian" && filler.type() != "uniform") {
      fail("data_filler type '" + filler.type() + "' is not one of constant, gaussian, uniform");
    }
    return filler;
  }

  std::string name_;
  int64_t size_ = 0;
  Shape shape_;  // of one record
  FillerParameter data_, label_;
  uint32_t stream_ = 0;
};

}  // namespace

SourcePtr open_dummy(const LayerParameter& layer) { return std::make_shared<DummySource>(layer); }

}  // namespace resnet
