// Weight files (.caffemodel): ours and Caffe's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resnet/proto/resnet.pb.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

// One parameter blob of a layer, as the file has it.
struct NamedBlob {
  std::string layer;
  int index = 0;  // inside the layer
  Shape shape;
  bool legacy_shape = false;  // given as num, channels, height, width: leading 1s mean nothing
  std::vector<float> data;    // row-major, shape.count() values
};

struct WeightSet {
  std::string path;
  std::string net_name;
  std::vector<NamedBlob> blobs;  // in file order
  std::optional<Preprocessing> preprocessing;
  std::optional<TrainingRecord> training;
  bool ours = false;               // false: another program's file, whose checksum nobody wrote
  uint64_t run_id = 0;             // ours only
  uint64_t checksum = 0;           // ours only
  std::vector<std::string> notes;  // for the log, one line each
};

// Reads names and blobs and nothing else, so that files of any Caffe and its forks load: new and
// old (V1) layers, float and double data, the raw data of NVIDIA's fork (16 bits, too), both forms of
// shapes. Throws DataError on files that
// cannot be read, are truncated, damaged, of another kind or have a blob whose data does not fit
// its shape.
WeightSet read_caffemodel(const std::string& path);
WeightSet parse_caffemodel(std::string_view bytes, const std::string& path);

// Writes a net whose layers hold their blobs (see set_blob) as one of our files, which Caffe reads
// too. Returns the file's checksum. Throws DataError.
uint64_t write_caffemodel(const std::string& path, const NetParameter& net, uint64_t run_id);

// Does a blob of a file fit a parameter? Legacy shapes are compared without their leading 1s.
bool shape_fits(const NamedBlob& blob, const Shape& wanted);

// A BlobProto's shape and values; `where` begins the text of a DataError.
Shape blob_shape(const BlobProto& blob, const std::string& where);
std::vector<float> blob_values(const BlobProto& blob, const std::string& where);
void set_blob(BlobProto* blob, const Shape& shape, std::span<const float> values);

}  // namespace resnet
