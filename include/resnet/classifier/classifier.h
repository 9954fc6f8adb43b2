// Classifies images with a trained net: the shortest way to use resnet from a program. This header needs no
// other, and neither Protocol Buffers nor OpenCV. docs/examples/classify is a whole program.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "resnet/base/error.h"

namespace resnet {

struct ClassifierOptions {
  std::string model;             // the net (deploy prototxt); empty: `weights` is a one-file model
  std::string weights;           // the weights (.caffemodel), whose preprocessing is obeyed
  std::string labels;            // names of the classes, one a line; empty: those in the weights
  std::string device = "auto";   // auto, cpu or cuda[:N], or what make_backend() takes
  std::string math = "FLOAT32";  // FLOAT32, BFLOAT16 or FLOAT16, as `resnet predict --math`
  int threads = 0;               // compute threads of the process; 0: as they are
  int64_t batch = 16;            // images that are computed together, at most
};

// An image file: JPEG, PNG and what else OpenCV reads.
struct ImageFile {
  std::string path;
};
// The bytes of one, which must stay until the call returns.
struct EncodedImage {
  std::span<const uint8_t> bytes;
  std::string name = "image";  // for messages
};
// 8-bit pixels B,G,R,B,G,R.. row by row, which must stay until the call returns.
struct BgrImage {
  const uint8_t* data = nullptr;
  int64_t width = 0, height = 0;  // pixels
  int64_t stride = 0;             // bytes from a row to the next; 0: 3 * width
  std::string name = "image";     // for messages
};
using AnyImage = std::variant<ImageFile, EncodedImage, BgrImage>;

struct RankedClass {
  int64_t label = 0;
  std::string name;  // "class 7" where the label has none
  double probability = 0;
};
using Ranking = std::vector<RankedClass>;  // the most probable class first, equal ones by label

// A net with its weights, ready to classify. All results are those of `resnet predict` with the same
// files, device, math, threads and batch, bit for bit.
//
// All functions that are const may be called from several threads at once. The net runs on a thread of the
// classifier's own, with its team of compute threads, one batch after the other in the order in which they
// were asked for. A call with one image decodes and scales it in the calling thread, so that calls of
// several threads overlap; a call with many images does that batch by batch with the compute threads.
// The floating-point mode and the CPU binding of the calling threads stay as they are.
//
// Every function may throw DataError (a file that cannot be read, is damaged or does not fit; of images it
// has the path or name), ConfigError (options, a net or arguments that make no sense) and DeviceError
// (device, memory); all are resnet::Error, and the classifier can be used further. An image that cannot be
// read fails its whole call. InternalError means a bug in this library.
class Classifier {
 public:
  explicit Classifier(const ClassifierOptions& options);
  ~Classifier();  // no call may be under way
  Classifier(Classifier&& other) noexcept;
  Classifier& operator=(Classifier&& other) noexcept;

  // The `top` most probable classes of an image, or of each image; fewer where the net has fewer.
  Ranking classify(const AnyImage& image, int top = 5) const;
  std::vector<Ranking> classify(std::span<const AnyImage> images, int top = 5) const;
  // The same for prepared inputs: (count,C,H,W) floats, row-major, mean subtracted and scaled as the net
  // was trained; C, H and W are channels(), height() and width().
  std::vector<Ranking> classify_tensor(std::span<const float> values, int64_t count,
                                       int top = 5) const;

  // The probabilities of all classes, by label, of each image.
  std::vector<std::vector<double>> probabilities(std::span<const AnyImage> images) const;
  std::vector<std::vector<double>> tensor_probabilities(std::span<const float> values,
                                                        int64_t count) const;

  int64_t classes() const;
  std::string class_name(int64_t label) const;  // "class 7" where the label has none
  // What the net is fed for one image.
  int64_t channels() const;
  int64_t height() const;
  int64_t width() const;
  std::string device() const;  // what computes: device, library, instruction set

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnet
