#include <filesystem>

#include "data/lmdb_appender.h"
#include "data/lmdb_format.h"
#include "data/sources.h"
#include "resnet/data/writer.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr size_t kBatchRecords = 1000;  // of one transaction
constexpr size_t kBatchBytes = size_t{32} << 20;

class LmdbWriter : public RecordWriter {
 public:
  LmdbWriter(const std::string& path, const std::vector<std::string>& class_names)
      : lmdb_(path, LmdbAppender::Sync::at_end) {
    if (!class_names.empty()) {
      write_class_names((fs::path(path) / kLmdbNames).string(), class_names);
    }
  }

  void add(const Record& record) override {
    pending_.push_back(lmdb_item(count_++, record));
    pending_bytes_ += pending_.back().value.size();
    if (pending_.size() == kBatchRecords || pending_bytes_ >= kBatchBytes) flush();
  }

  void finish() override {
    flush();
    lmdb_.sync();
  }

 private:
  void flush() {
    lmdb_.append(pending_);
    pending_.clear();
    pending_bytes_ = 0;
  }

  LmdbAppender lmdb_;
  int64_t count_ = 0;
  std::vector<LmdbItem> pending_;
  size_t pending_bytes_ = 0;
};

}  // namespace

std::unique_ptr<RecordWriter> open_lmdb_writer(const std::string& path,
                                               const std::vector<std::string>& class_names) {
  return std::make_unique<LmdbWriter>(path, class_names);
}

}  // namespace resnet
