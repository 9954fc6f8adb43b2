// Data sets as files: LMDB folders and CIFAR-10's binary files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

// Takes records one after the other. Without finish() the files may be incomplete.
class RecordWriter {
 public:
  virtual ~RecordWriter() = default;
  virtual void add(const Record& record) = 0;  // throws DataError (disk full, ..)
  virtual void finish() = 0;                   // throws DataError
};

// An LMDB folder of Datum messages that Caffe reads, made at `path`. Keys are "%08d_KEY", counted
// in the order of add(). The map grows as needed. Class names lie beside the data, in
// class_names.txt.
std::unique_ptr<RecordWriter> open_lmdb_writer(const std::string& path,
                                               const std::vector<std::string>& class_names);

// Files in CIFAR-10's binary layout in the existing folder `path`: for TRAIN data_batch_1.bin, ..
// of 10,000 records each, for TEST test_batch.bin. Records must be colour, 32x32, label below 256.
std::unique_ptr<RecordWriter> open_cifar_writer(const std::string& path, Phase phase);

// A folder that is complete or absent: files are written into a temporary folder beside it, which
// commit() gives the wanted name. Without commit() the destructor removes it.
class OutputFolder {
 public:
  explicit OutputFolder(const std::string& path);  // ConfigError if `path` exists and is not empty
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const std::string& temporary() const { return temporary_; }
  void commit();  // throws DataError

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

enum class SetFormat { lmdb, cifar };
SetFormat parse_set_format(const std::string& text);  // "lmdb", "cifar"; throws ConfigError

struct WrittenSet {
  std::string train, test;                         // what a Data layer's `source` names
  std::vector<int64_t> train_labels, test_labels;  // records of each label
  // FNV-1a over all records, training first, each as label byte and R, G, B planes: equal for both
  // formats, and equal to that of the concatenated CIFAR-10 files.
  uint64_t digest = 0;
};

// Writes a training and a test set of 32x32 colour images into the new folder `output`. lmdb:
// train.lmdb and test.lmdb in it; cifar: the binary files with batches.meta.txt. Records are read
// by the compute team. `progress(done, total)` is called now and then.
WrittenSet write_set(const DataSource& train, const DataSource& test, const std::string& output,
                     SetFormat format,
                     const std::function<void(int64_t, int64_t)>& progress = nullptr);

}  // namespace resnet
