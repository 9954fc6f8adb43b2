// Where records come from: LMDB databases, image files in folders, lists and tar files, CIFAR-10
// binary files, generated data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "resnet/base/error.h"
#include "resnet/proto/resnet.pb.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

// One image with its label. Colour images have their planes in B,G,R order whatever the source, so
// that a net gets the same input from every one of them: Caffe stores BGR, and the reader of
// CIFAR-10's RGB files swaps the planes. Exactly one of `bytes` and `floats` holds the image.
struct Record {
  std::string key;
  int64_t label = 0;
  Shape shape;                 // (C,H,W); rank 0 while encoded
  bool encoded = false;        // `bytes` is a JPEG or PNG file (decode() in image.h)
  std::vector<uint8_t> bytes;  // row-major (C,H,W), or the encoded file
  std::vector<float> floats;   // row-major (C,H,W)
};

// A fixed, ordered set of records. All functions are pure and may be called from any thread.
class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual std::string name() const = 0;  // the path, for messages
  virtual int64_t size() const = 0;      // records, at least 1
  // Record i of [0, size()). Throws DataError naming source and key.
  virtual Record read(int64_t i) const = 0;
  // Its key, without reading the record.
  virtual std::string key(int64_t i) const = 0;
  // Index is the label; empty when the source does not know.
  virtual std::vector<std::string> class_names() const { return {}; }
};

using SourcePtr = std::shared_ptr<const DataSource>;

// Opens the source of a Data or DummyData layer.
// Data: an LMDB folder as Caffe writes it, or by `backend`
//   CIFAR10  a folder of CIFAR-10's binary files, of which TRAIN means data_batch_*.bin and TEST
//            test_batch.bin, or such files joined by commas
//   FOLDER   a folder DIR/CLASS/../IMAGE; labels count the sorted class names from 0
//   LIST     a text file of lines "path label"; relative paths begin at `root`
//   TAR      a tar file of class folders, or of a tar file for each class (ImageNet's training
//            set), or of images whose labels `label_file` has
// record_begin and record_end select a part. DummyData: as many records as its batch, a pure
// function of the record's index. Relative paths are sought in the working directory, then in
// base_dir (the prototxt's folder). Throws ConfigError on a layer that says something impossible,
// DataError on files that are missing, empty or damaged.
SourcePtr open_source(const LayerParameter& layer, Phase phase, const std::string& base_dir);

// Opens a path of any kind, recognised by what is there: an LMDB folder, a folder of CIFAR-10
// binary files (the phase picks among them) or such files joined by commas, a folder of class
// folders, a tar file, or a text file of lines "path label".
SourcePtr open_source(const std::string& path, Phase phase);

// Records [begin, end) of a source; end 0 is its end. ConfigError when empty or out of range.
SourcePtr subset(SourcePtr source, int64_t begin, int64_t end);

// `path` if it is absolute or exists in the working directory, else base_dir/path if that exists,
// else `path`.
std::string resolve_path(const std::string& path, const std::string& base_dir);

// "SOURCE: record KEY: FACT", the form of every error about one record; "KEY: FACT" of a single file,
// which is its own source.
DataError record_error(const std::string& source, const std::string& key, const std::string& fact);

}  // namespace resnet
