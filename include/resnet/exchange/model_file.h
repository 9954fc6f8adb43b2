// One-file models: a .caffemodel that holds all it takes to classify images. Caffe reads it as weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resnet/io/caffemodel.h"
#include "resnet/proto/resnet.pb.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

struct ModelFile {
  std::string path;
  NetParameter
      net;  // an Input layer for one image, then the layers up to the scores; without blobs
  std::string input;  // blob that takes images (N,C,H,W)
  std::string
      scores;         // blob with the probabilities of the classes (N,classes,1..), after a Softmax
  Shape image;        // (C,H,W) of one input
  WeightSet weights;  // for load_weights(); names and blobs as the file has them
  // How an image file becomes input (Transformer takes it). Where the file does not say, has_preprocessing
  // is false and images are scaled to `image`, B,G,R, without a mean.
  Preprocessing preprocessing;
  bool has_preprocessing = false;
  std::vector<std::string> labels;  // names of the classes by label; may be empty
  TrainingRecord training;          // iterations and test error, where they are known
};

// Reads a file that `resnet export --format=model` wrote, a snapshot of `resnet train`, or what Caffe saved
// when its training net says how large its images are. From a net for training and testing, what computes
// the class scores of the phase TEST is taken. Throws DataError for files that are no weight files, that
// hold no net, or whose net does not tell the size of its images or has layers or fields that this program
// does not know: they need their prototxt beside them.
ModelFile read_model_file(const std::string& path);
ModelFile parse_model_file(std::string_view bytes, const std::string& path);

// Writes a net for use whose layers hold their blobs, with the rest of what a ModelFile holds; run_id is
// that of the run that made the weights (0: unknown). Returns the file's checksum. Throws DataError.
uint64_t write_model_file(const std::string& path, const NetParameter& net,
                          const Preprocessing& preprocessing, const TrainingRecord& training,
                          uint64_t run_id);

// The net for use of a net for training and testing whose layers may hold blobs: an Input layer for images
// (C,H,W), then what computes the probabilities of the classes in the phase TEST, with those blobs. A rank
// of 0 stands for the shape that the net's Input layer states. Throws ConfigError.
NetParameter deploy_net(const NetParameter& net, const Shape& image);

// The shape (C,H,W) of a net's input, from what its file knows: the record of its training, its Input layer,
// preprocessing, or the crop of its Data layer. Rank 0 where that does not tell.
Shape image_shape_of(const NetParameter& net);

}  // namespace resnet
