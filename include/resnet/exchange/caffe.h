// Nets, weights, solvers and solver states as BVLC Caffe reads them: without fields and layers of our own.
#pragma once

#include <string>

#include "resnet/proto/resnet.pb.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

// The net as Caffe computes it, with its blobs if the layers hold some. IdentityShortcut layers become
// 1x1 convolutions with fixed weights of zeros and ones (in a net with blobs these are added; a net that
// is trained in Caffe must start from a weight file that has them). What changes no results is dropped:
// preprocessing, records of training, and group_size in a net without a data set. `image` is the shape
// (C,H,W) of one image where the net does not state it (image_shape_of() in model_file.h); rank 0: it does.
// Throws one ConfigError with a line for everything that Caffe cannot compute, and what to do about it.
NetParameter to_caffe(const NetParameter& net, const Shape& image = {});

// The solver as Caffe obeys it; snapshots are kept as Caffe keeps them. Throws likewise.
SolverParameter to_caffe(const SolverParameter& solver);

// The state of a run on `net`, the net of the snapshot, as Caffe resumes from it: iteration, step of the
// schedule, and a momentum blob for each parameter of to_caffe(net) in TRAIN, in its order. `learned_net`
// is the weight file that Caffe loads. Throws DataError when state and net do not belong together.
SolverState to_caffe(const SolverState& state, const NetParameter& net,
                     const std::string& learned_net, const Shape& image = {});

// The net without blobs, as text.
std::string caffe_prototxt(const NetParameter& net);

// Writes a message as Caffe stores it: nothing before and nothing after it. Throws DataError.
void write_caffe(const std::string& path, const google::protobuf::Message& message);

}  // namespace resnet
