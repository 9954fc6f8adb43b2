// BatchNorm layers as NVIDIA's and Intel's forks of Caffe save them. Internal to src/eval.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "resnet/io/caffemodel.h"

namespace resnet {

using BlobIndex = std::map<std::pair<std::string, int>, const NamedBlob*>;  // by layer and number

// Files of those forks may hold gamma and beta in a BatchNorm layer, as blobs 3 and 4 after mean, variance
// and factor; files of DIGITS have gamma, beta, mean, variance and a blob of one value that nobody uses.
// Rewrites the entries of such layers in Caffe's way: mean, variance and factor stay, gamma and beta become
// the blobs of the Scale layer that reads the BatchNorm's top in `net`. New blobs are kept in *own. Throws
// DataError where there is no such layer, or it has weights of its own.
void split_batch_norms(const NetParameter& net, const std::string& path, BlobIndex* blobs,
                       std::deque<NamedBlob>* own);

}  // namespace resnet
