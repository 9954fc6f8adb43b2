#include <algorithm>
#include <filesystem>

#include "data/cifar_format.h"
#include "data/digest.h"
#include "data/sources.h"
#include "resnet/base/parallel.h"
#include "resnet/data/writer.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr int64_t kChunk = 1024;  // records read before they are written

// Copies a source record by record, counting labels and feeding the digest.
class Copier {
 public:
  Copier(int64_t total, const std::function<void(int64_t, int64_t)>& progress)
      : total_(total), progress_(progress) {}

  std::vector<int64_t> copy(const DataSource& source, RecordWriter& writer) {
    std::vector<int64_t> labels(source.class_names().size());
    for (int64_t begin = 0; begin < source.size(); begin += kChunk) {
      std::vector<Record> records(static_cast<size_t>(std::min(kChunk, source.size() - begin)));
      parallel_for(static_cast<int64_t>(records.size()), 16, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; ++i)
          records[static_cast<size_t>(i)] = source.read(begin + i);
      });
      for (const Record& record : records) {
        digest_.add(cifar_record(record));
        writer.add(record);
        const auto label = static_cast<size_t>(record.label);
        if (label >= labels.size()) labels.resize(label + 1);
        ++labels[label];
      }
      done_ += static_cast<int64_t>(records.size());
      if (progress_) progress_(done_, total_);
    }
    writer.finish();
    return labels;
  }

  uint64_t digest() const { return digest_.value(); }

 private:
  int64_t done_ = 0, total_;
  const std::function<void(int64_t, int64_t)>& progress_;
  Digest digest_;
};

}  // namespace

OutputFolder::OutputFolder(const std::string& path)
    : path_((fs::path(path) / "").parent_path().string()), temporary_(path_ + ".tmp") {
  std::error_code failed;
  if (fs::exists(path_) && !(fs::is_directory(path_) && fs::is_empty(path_))) {
    throw ConfigError(path_ + ": exists already; remove it or choose another --output");
  }
  fs::remove_all(temporary_, failed);  // left by an interrupted run
  fs::create_directories(temporary_, failed);
  if (failed) throw DataError(temporary_ + ": " + failed.message());
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void OutputFolder::commit() {
  std::error_code failed;
  fs::rename(temporary_, path_, failed);
  if (failed) throw DataError(path_ + ": " + failed.message());
  committed_ = true;
}

SetFormat parse_set_format(const std::string& text) {
  if (text == "lmdb") return SetFormat::lmdb;
  if (text == "cifar") return SetFormat::cifar;
  throw ConfigError("format '" + text + "' is not one of cifar, lmdb");
}

WrittenSet write_set(const DataSource& train, const DataSource& test, const std::string& output,
                     SetFormat format, const std::function<void(int64_t, int64_t)>& progress) {
  OutputFolder folder(output);
  Copier copier(train.size() + test.size(), progress);
  WrittenSet written;
  const auto copy = [&](const DataSource& source, Phase phase, const char* lmdb_name) {
    const std::string lmdb = (fs::path(folder.temporary()) / lmdb_name).string();
    const auto writer = format == SetFormat::lmdb ? open_lmdb_writer(lmdb, source.class_names())
                                                  : open_cifar_writer(folder.temporary(), phase);
    (phase == TRAIN ? written.train_labels : written.test_labels) = copier.copy(source, *writer);
    (phase == TRAIN ? written.train : written.test) =
        format == SetFormat::lmdb ? (fs::path(output) / lmdb_name).string() : output;
  };
  copy(train, TRAIN, "train.lmdb");
  copy(test, TEST, "test.lmdb");
  if (format == SetFormat::cifar) {
    write_class_names((fs::path(folder.temporary()) / kCifarNames).string(), train.class_names());
  }
  folder.commit();
  written.digest = copier.digest();
  return written;
}

}  // namespace resnet
