// Writes records to the end of an LMDB folder.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

struct LmdbItem {
  std::string key, value;
};

// A record as Caffe stores it: key "%08d_KEY" (cut to what LMDB can hold), value a Datum message.
LmdbItem lmdb_item(int64_t number, const Record& record);

// One writer per folder. All functions throw DataError (disk full, ..).
class LmdbAppender {
 public:
  // `each` makes every append durable, also against a power failure; else only sync() does.
  enum class Sync : uint8_t { each, at_end };
  LmdbAppender(const std::string& path, Sync sync);  // makes the folder if it is not there
  ~LmdbAppender();
  LmdbAppender(const LmdbAppender&) = delete;
  LmdbAppender& operator=(const LmdbAppender&) = delete;

  int64_t size() const;  // records
  // All of them or, whenever the process ends, none; keys must follow those that are there.
  void append(std::vector<LmdbItem>& items);
  void sync();

 private:
  int try_append(std::vector<LmdbItem>& items);
  void check(int status) const;

  std::string path_;
  MDB_env* environment_ = nullptr;
};

}  // namespace resnet
