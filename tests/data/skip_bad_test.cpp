// Bad records in training: an error, or so many left out.
#include <set>

#include "data/data_test_util.h"
#include "data/permutation.h"
#include "resnet/base/error.h"

namespace resnet::testing {
namespace {

// Records 3, 4 and 11 of 20 cannot be read.
class BadSource : public MemorySource {
 public:
  using MemorySource::MemorySource;
  Record read(int64_t i) const override {
    if (is_bad(i)) throw record_error(name(), key(i), "the JPEG file is truncated");
    return MemorySource::read(i);
  }
  static bool is_bad(int64_t i) { return i == 3 || i == 4 || i == 11; }
};

SourcePtr bad_source() {
  std::vector<Record> records;
  for (int64_t i = 0; i < 20; ++i) records.push_back(numbered_record(i, i));
  return std::make_shared<BadSource>(records);
}

LoaderOptions options_for(int64_t skip_bad, int threads, bool shuffle = true) {
  LoaderOptions options;
  options.phase = TRAIN;
  options.batch = 4;
  options.seed = 2;
  options.shuffle = shuffle;
  options.loader_threads = threads;
  options.skip_bad = skip_bad;
  return options;
}

std::vector<float> labels_of(Loader& loader, int batches) {
  std::vector<float> all, labels(4);
  for (int i = 0; i < batches; ++i) {
    loader.next(nullptr, labels.data());
    all.insert(all.end(), labels.begin(), labels.end());
  }
  return all;
}

TEST(SkipBad, ByDefaultABadRecordIsAnError) {
  for (const int threads : {0, 2}) {
    Loader loader(bad_source(), Transformer({}, TRAIN, ""), options_for(0, threads, false));
    EXPECT_ONE_LINE(error_of<DataError>([&] { labels_of(loader, 2); }), "memory: record image3",
                    "truncated");
    EXPECT_EQ(loader.position(), 0);
  }
}

TEST(SkipBad, TheNextPositionsRecordComesInItsPlace) {
  for (const int threads : {0, 1, 3}) {
    Loader loader(bad_source(), Transformer({}, TRAIN, ""), options_for(3, threads));
    const StreamOrder order(2, 20, true);
    const std::vector<float> labels = labels_of(loader, 15);  // 3 epochs
    for (int64_t position = 0; position < 60; ++position) {
      int64_t from = position;
      while (BadSource::is_bad(order.records(from, 1).front())) ++from;
      EXPECT_EQ(labels[static_cast<size_t>(position)], order.records(from, 1).front());
    }
    const std::vector<int64_t> bad = loader.bad_records();
    EXPECT_EQ(std::set<int64_t>(bad.begin(), bad.end()), (std::set<int64_t>{3, 4, 11}));
  }
}

TEST(SkipBad, OneTooManyIsAnErrorAtTheSamePlaceForAnyThreads) {
  std::set<std::string> errors;
  std::set<int64_t> positions;
  for (const int threads : {0, 1, 4}) {
    Loader loader(bad_source(), Transformer({}, TRAIN, ""), options_for(2, threads));
    const std::string error = error_of<DataError>([&] { labels_of(loader, 10); });
    EXPECT_ONE_LINE(error, "bad record 3", "2 may be skipped");
    errors.insert(error);
    positions.insert(loader.position());
  }
  EXPECT_EQ(errors.size(), 1u);
  EXPECT_EQ(positions.size(), 1u);
}

TEST(SkipBad, AResumedRunGoesOnCounting) {
  Loader first(bad_source(), Transformer({}, TRAIN, ""), options_for(3, 0));
  const std::vector<float> all = labels_of(first, 10);
  Loader whole(bad_source(), Transformer({}, TRAIN, ""), options_for(3, 0));
  labels_of(whole, 5);
  Loader resumed(bad_source(), Transformer({}, TRAIN, ""), options_for(3, 2));
  resumed.seek(whole.position());
  resumed.set_bad_records(whole.bad_records());
  EXPECT_EQ(labels_of(resumed, 5), std::vector<float>(all.begin() + 20, all.end()));
  EXPECT_EQ(resumed.bad_records(), first.bad_records());
}

TEST(SkipBad, TestsLeaveNothingOut) {
  LoaderOptions options = options_for(3, 0);
  options.phase = TEST;
  Loader loader(bad_source(), Transformer({}, TEST, ""), options);
  EXPECT_ONE_LINE(error_of<DataError>([&] { labels_of(loader, 5); }), "image3");
}

}  // namespace
}  // namespace resnet::testing
