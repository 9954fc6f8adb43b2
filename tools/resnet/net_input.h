// What a net is fed: image files, an array, or a data set.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net_file.h"

namespace resnet::cli {

class NetInput {
 public:
  virtual ~NetInput() = default;
  virtual int64_t size() const = 0;   // images
  virtual int64_t batch() const = 0;  // images at a time, as the source prefers it
  // Shapes that the net's file leaves open: of the tops of its Data layers.
  virtual Shapes shapes() const = 0;
  // Writes the images [begin, begin + count) to the inputs of a session planned for `count`. Called
  // in order.
  virtual void fill(Net& net, Session& session, int64_t begin, int64_t count) = 0;
  // Of the last batch: keys of records or paths of images, and labels. Empty where there are none.
  virtual std::vector<std::string> keys() const { return {}; }
  virtual std::vector<float> labels() const { return {}; }
};

// How images become input of this net: as stored with its weights, else as its data layer says, else
// scaled to the size of its input; changed by --resize, --mean and --scale. Throws ConfigError.
Preprocessing preprocessing_for(const NetFile& file, const std::optional<Preprocessing>& stored);

// The loader of the net's data layer in options.phase: options.batch images at a time (0: as the net
// says), with the data set at --source, whatever its form, in place of the layer's own. Throws ConfigError
// when the net reads no data set.
std::unique_ptr<Loader> open_net_loader(const NetFile& file, LoaderOptions options);

// Image files. The first is read to learn the shape of all.
std::unique_ptr<NetInput> image_input(const NetFile& file, std::vector<std::string> paths,
                                      const Preprocessing& preprocessing);
// An array (N,C,H,W) that is fed as it is.
std::unique_ptr<NetInput> array_input(const NetFile& file, const std::string& npy_path);
// The data set at `source`.
std::unique_ptr<NetInput> source_input(const NetFile& file, const std::string& source,
                                       const Preprocessing& preprocessing);
// The same as a Feed, which knows the labels too.
Feed source_feed(const NetFile& file, const std::string& source,
                 const Preprocessing& preprocessing);
// The data set that the net names.
std::unique_ptr<NetInput> own_input(const NetFile& file);

// Runs the net over its input, batch by batch, keeping the blobs `keep`, and calls `each` after every
// batch.
void run_batches(Net& net, NetInput& input, const std::vector<std::string>& keep,
                 const std::function<void(Session&, int64_t begin, int64_t count)>& each);

}  // namespace resnet::cli
