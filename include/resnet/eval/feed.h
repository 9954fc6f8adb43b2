// The data layers of one phase of a net and their loaders: they tell the shapes of the net's inputs
// and fill them, batch after batch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "resnet/data/loader.h"
#include "resnet/net/held_data.h"
#include "resnet/net/net.h"

namespace resnet {

struct FeedOptions {
  Phase phase = TEST;
  uint64_t seed = 0;       // of the order and of the augmentation
  int loader_threads = 0;  // as LoaderOptions
  int64_t skip_bad = 0;    // as LoaderOptions, of each layer
  bool time_stages = false;
  bool pixels = true;    // go to a device as 8-bit pixels where possible
  int64_t batch = 0;     // replaces the layers' batch_size; 0: keeps it
  std::string base_dir;  // where relative paths are sought after the working directory
  int level = 0;         // of the net's state, as in GraphOptions
  std::vector<std::string> stages;
};

// One caller at a time. Several data layers advance together: their batches must be equal, and in
// TEST the numbers of their records too.
class Feed {
 public:
  // Opens every Data and DummyData layer that takes part in the phase; none is no error (empty()).
  // Throws ConfigError and DataError.
  Feed(const NetParameter& net, const FeedOptions& options);
  // For nets whose inputs no layer reads from a source: fills the input `data` and, where the net
  // has it, the input `label`.
  Feed(std::unique_ptr<Loader> loader, const std::string& data, const std::string& label);

  bool empty() const { return layers_.empty(); }
  std::map<std::string, Shape> shapes() const;  // tops with the batch in front
  int64_t batch() const;                        // images
  int64_t records() const;                      // of the first data layer
  int64_t position() const;                     // images taken by the first data layer
  int64_t next_count() const;  // images that the next fill() brings; TEST: 0 at the end of the set
  void seek(int64_t position);

  // Finds out which inputs are labels of how many classes: fill() then throws DataError, naming
  // source and key, on a label outside [0, classes) that the net does not ignore.
  void check_labels(const Graph& graph);

  // Writes the next next_count() images to the inputs of a session planned for that batch, sets its
  // clock and returns the count.
  int64_t fill(Net& net, Session& session);
  // Labels of the last batch of the first data layer that has labels.
  const std::vector<float>& labels() const { return labels_; }
  // Keys of the records of the last batch, layer after layer.
  std::vector<std::string> last_keys() const;

  // How fill() brings images to the session, one text a data layer: "8-bit pixels, normalised on the device",
  // or "floats", with the reason on a device.
  std::vector<std::string> ways(Net& net, Session& session);

  // What a snapshot stores. restore() throws DataError, naming the layer, when the sources do not
  // fit.
  std::vector<DataPosition> positions() const;
  void restore(const std::vector<DataPosition>& positions);

  // The whole data set for a device to draw batches from as fill() would, if the phase is TRAIN, one
  // layer feeds all inputs and its set can be held in most_bytes (data/held_set.h). Throws DataError on
  // labels that the net does not know.
  std::optional<HeldData> hold(int64_t most_bytes) const;

  double wait_seconds() const;          // spent in loaders
  Preprocessing preprocessing() const;  // of the first data layer, for TEST
  const Loader& loader(int i) const { return *layers_.at(static_cast<size_t>(i)).loader; }
  int size() const { return static_cast<int>(layers_.size()); }
  const std::string& layer_name(int i) const { return layers_.at(static_cast<size_t>(i)).name; }

 private:
  struct Layer {
    std::string name, data, label;  // label: empty without
    std::unique_ptr<Loader> loader;
    std::shared_ptr<const PixelRule> rule;  // null: floats are filled in
    std::string way = "floats";             // as ways() says
    bool way_is_logged = false;
    int64_t classes = 0;  // 0: labels are not checked
    bool has_ignore = false;
    int64_t ignore_label = 0;
  };

  void check_agreement() const;
  static void open_pixels(Layer& layer);
  void check_count(const Shape& input) const;
  static Net::PixelInput pixel_input(Net& net, Session& session, Layer& layer);
  bool fill_pixels(Net& net, Session& session, Layer& layer, float* labels) const;
  void fill_floats(Net& net, Session& session, Layer& layer, bool data, float* labels) const;
  static bool knows_label(const Layer& layer, float label);
  [[noreturn]] static void refuse_label(const Layer& layer, float label, const std::string& key);
  void check_batch_labels(const Layer& layer, const std::vector<float>& labels) const;

  Phase phase_ = TEST;
  uint64_t seed_ = 0;
  std::vector<Layer> layers_;
  std::vector<float> labels_;
  int64_t last_position_ = 0, last_count_ = 0;
};

}  // namespace resnet
