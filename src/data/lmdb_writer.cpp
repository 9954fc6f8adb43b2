#include <lmdb.h>

#include <cstdio>
#include <filesystem>

#include "data/lmdb_format.h"
#include "data/sources.h"
#include "resnet/data/writer.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr size_t kFirstMapBytes = size_t{64} << 20;
constexpr size_t kBatchRecords = 1000;  // of one transaction
constexpr size_t kBatchBytes = size_t{32} << 20;

class LmdbWriter : public RecordWriter {
 public:
  LmdbWriter(const std::string& path, const std::vector<std::string>& class_names) : path_(path) {
    std::error_code failed;
    fs::create_directories(path, failed);
    if (failed) throw DataError(path + ": " + failed.message());
    if (!class_names.empty()) {
      write_class_names((fs::path(path) / kLmdbNames).string(), class_names);
    }
    check(mdb_env_create(&environment_));
    try {
      check(mdb_env_set_mapsize(environment_, map_bytes_));
      // One writer in a new folder: no locks; one sync at the end.
      check(mdb_env_open(environment_, path.c_str(), MDB_NOLOCK | MDB_NOSYNC, 0664));
    } catch (...) {
      mdb_env_close(environment_);
      throw;
    }
  }
  ~LmdbWriter() override { mdb_env_close(environment_); }
  LmdbWriter(const LmdbWriter&) = delete;
  LmdbWriter& operator=(const LmdbWriter&) = delete;

  void add(const Record& record) override {
    char number[24];
    std::snprintf(number, sizeof number, "%08lld_", static_cast<long long>(count_++));
    pending_.push_back({number + record.key, serialised(record)});
    pending_bytes_ += pending_.back().value.size();
    if (pending_.size() == kBatchRecords || pending_bytes_ >= kBatchBytes) flush();
  }

  void finish() override {
    flush();
    check(mdb_env_sync(environment_, 1));
  }

 private:
  struct Item {
    std::string key, value;
  };

  static std::string serialised(const Record& record) {
    Datum datum;
    datum.set_label(static_cast<int32_t>(record.label));
    datum.set_encoded(record.encoded);
    if (!record.encoded) {
      datum.set_channels(static_cast<int32_t>(record.shape[0]));
      datum.set_height(static_cast<int32_t>(record.shape[1]));
      datum.set_width(static_cast<int32_t>(record.shape[2]));
    }
    if (!record.bytes.empty()) datum.set_data(record.bytes.data(), record.bytes.size());
    datum.mutable_float_data()->Add(record.floats.begin(), record.floats.end());
    return datum.SerializeAsString();
  }

  // Writes what is pending in one transaction; as often as it takes with a larger map.
  void flush() {
    int status;
    while ((status = try_write()) == MDB_MAP_FULL) {
      map_bytes_ *= 2;
      check(mdb_env_set_mapsize(environment_, map_bytes_));
    }
    check(status);
    pending_.clear();
    pending_bytes_ = 0;
  }

  int try_write() {
    MDB_txn* transaction;
    int status = mdb_txn_begin(environment_, nullptr, 0, &transaction);
    if (status != MDB_SUCCESS) return status;
    MDB_dbi database;
    status = mdb_dbi_open(transaction, nullptr, 0, &database);
    for (size_t i = 0; i < pending_.size() && status == MDB_SUCCESS; ++i) {
      MDB_val key{pending_[i].key.size(), pending_[i].key.data()};
      MDB_val value{pending_[i].value.size(), pending_[i].value.data()};
      status = mdb_put(transaction, database, &key, &value, MDB_APPEND);
    }
    if (status == MDB_SUCCESS) return mdb_txn_commit(transaction);
    mdb_txn_abort(transaction);
    return status;
  }

  void check(int status) const {
    if (status != MDB_SUCCESS)
      throw DataError(path_ + ": cannot write (is the disk full?): " + mdb_strerror(status));
  }

  std::string path_;
  MDB_env* environment_ = nullptr;
  size_t map_bytes_ = kFirstMapBytes;
  int64_t count_ = 0;
  std::vector<Item> pending_;
  size_t pending_bytes_ = 0;
};

}  // namespace

std::unique_ptr<RecordWriter> open_lmdb_writer(const std::string& path,
                                               const std::vector<std::string>& class_names) {
  return std::make_unique<LmdbWriter>(path, class_names);
}

}  // namespace resnet
