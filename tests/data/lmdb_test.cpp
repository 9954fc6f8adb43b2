// LMDB folders: those that Caffe wrote, our own, and damaged ones.
#include <lmdb.h>

#include <filesystem>
#include <regex>

#include "data/data_test_util.h"
#include "data/digest.h"
#include "data/kept_file.h"
#include "data/lmdb_appender.h"
#include "data/lmdb_keys.h"
#include "resnet/data/image.h"
#include "resnet/data/mean.h"
#include "resnet/data/writer.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

// What the records_*.json of the reference data say, one record a line.
struct Expected {
  std::string key;
  int64_t label;
  bool encoded;
  std::string data_digest;
};

std::vector<Expected> read_expected(const std::string& path) {
  std::vector<Expected> out;
  std::ifstream file(path);
  const std::regex pattern(
      R"re("key": "([^"]*)".*"label": (\d+).*"encoded": (true|false).*"data_fnv1a64": "(\w+)")re");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, pattern)) continue;
    out.push_back({match[1], std::stoll(match[2]), match[3] == "true", match[4]});
  }
  return out;
}

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

class CaffeLmdb : public ::testing::TestWithParam<std::string> {};

TEST_P(CaffeLmdb, RecordsPixelsAndMeanAreTheSame) {
  const std::string folder = shared_dir() + "/caffe/lmdb/";
  RESNET_NEEDS_FILE(folder);
  const std::vector<Expected> expected = read_expected(folder + "records_" + GetParam() + ".json");
  ASSERT_FALSE(expected.empty());
  const auto pixels = read_binary<uint8_t>(folder + "pixels_" + GetParam() + ".u8.bin");
  const SourcePtr source = open_source(folder + GetParam() + "_lmdb", TEST);
  ASSERT_EQ(source->size(), static_cast<int64_t>(expected.size()));

  auto at = pixels.begin();
  for (int64_t i = 0; i < source->size(); ++i) {
    const Expected& wanted = expected[static_cast<size_t>(i)];
    Record record = source->read(i);
    EXPECT_EQ(source->key(i), wanted.key);
    EXPECT_EQ(record.key, wanted.key);
    EXPECT_EQ(record.label, wanted.label);
    EXPECT_EQ(record.encoded, wanted.encoded);
    Digest digest;
    digest.add(record.bytes);
    EXPECT_EQ(hex(digest.value()), wanted.data_digest);
    decode(record, Colour::as_stored, source->name());
    ASSERT_LE(record.bytes.size(), static_cast<size_t>(pixels.end() - at));
    EXPECT_TRUE(std::equal(record.bytes.begin(), record.bytes.end(), at)) << record.key;
    at += static_cast<std::ptrdiff_t>(record.bytes.size());
  }
  EXPECT_EQ(at, pixels.end());

  const auto wanted_mean = read_binary<float>(folder + "mean_" + GetParam() + ".f32.bin");
  const ImageMean mean = compute_mean(*source);
  ASSERT_EQ(mean.values.size(), wanted_mean.size());
  for (size_t i = 0; i < wanted_mean.size(); ++i) ASSERT_NEAR(mean.values[i], wanted_mean[i], 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, CaffeLmdb, ::testing::Values("raw64", "enc64_jpg", "gray48x32"));

// What Caffe's Data layer handed to a net in phase TEST.
void expect_layer_output(const std::string& lmdb, const std::string& output,
                         TransformationParameter transform) {
  const std::string folder = shared_dir() + "/caffe/lmdb/";
  RESNET_NEEDS_FILE(folder);
  LayerParameter layer = data_layer(lmdb, DataParameter::LMDB, 5);
  *layer.mutable_transform_param() = transform;
  LoaderOptions options;
  options.phase = TEST;
  const auto loader = open_loader(layer, options, folder);
  const auto wanted_data = read_binary<float>(folder + output + "/data.bin");
  const auto wanted_labels = read_binary<float>(folder + output + "/label.bin");
  std::vector<float> data(static_cast<size_t>(loader->batch_shape().count())), labels(5);
  ASSERT_EQ(data.size(), wanted_data.size());
  EXPECT_EQ(loader->next(data.data(), labels.data()), 5);
  EXPECT_EQ(data, wanted_data);
  EXPECT_EQ(labels, wanted_labels);
}

TEST(CaffeDataLayer, CentreCropWithMeanFile) {
  TransformationParameter transform;
  transform.set_crop_size(56);
  transform.set_mean_file("mean_raw64.binaryproto");
  expect_layer_output("raw64_lmdb", "out_data_raw64_crop56_meanfile", transform);
}

TEST(CaffeDataLayer, EncodedImages) {
  expect_layer_output("enc64_jpg_lmdb", "out_data_enc64_jpg_plain", {});
}

class Lmdb : public ::testing::Test {
 protected:
  // Writes one transaction of raw key-value pairs.
  std::string write_raw(const std::string& name,
                        const std::vector<std::pair<std::string, std::string>>& items) {
    const std::string path = folder / name;
    fs::create_directory(path);
    MDB_env* environment;
    MDB_txn* transaction;
    MDB_dbi database;
    EXPECT_EQ(mdb_env_create(&environment), 0);
    EXPECT_EQ(mdb_env_open(environment, path.c_str(), MDB_NOLOCK, 0664), 0);
    EXPECT_EQ(mdb_txn_begin(environment, nullptr, 0, &transaction), 0);
    EXPECT_EQ(mdb_dbi_open(transaction, nullptr, 0, &database), 0);
    for (auto [key, value] : items) {
      MDB_val k{key.size(), key.data()}, v{value.size(), value.data()};
      EXPECT_EQ(mdb_put(transaction, database, &k, &v, 0), 0);
    }
    EXPECT_EQ(mdb_txn_commit(transaction), 0);
    mdb_env_close(environment);
    return path;
  }

  static std::string datum(int32_t channels, int32_t side, const std::string& data) {
    Datum out;
    out.set_channels(channels);
    out.set_height(side);
    out.set_width(side);
    out.set_data(data);
    return out.SerializeAsString();
  }

  ScratchDirectory folder;
};

TEST_F(Lmdb, RoundTripWithGrowingMap) {
  // 900 records of 0.2 MB outgrow the first map twice.
  const Shape shape{3, 256, 256};
  const std::string path = folder / "set";
  {
    const auto writer = open_lmdb_writer(path, {"one", "two"});
    for (int64_t i = 0; i < 900; ++i) writer->add(numbered_record(i, i % 2, shape));
    writer->finish();
  }
  const SourcePtr source = open_source(path, TRAIN);
  ASSERT_EQ(source->size(), 900);
  EXPECT_EQ(source->class_names(), (std::vector<std::string>{"one", "two"}));
  for (const int64_t i : {0, 1, 450, 899}) {
    const Record record = source->read(i), wanted = numbered_record(i, i % 2, shape);
    char key[32];
    std::snprintf(key, sizeof key, "%08d_image%d", static_cast<int>(i), static_cast<int>(i));
    EXPECT_EQ(record.key, key);
    EXPECT_EQ(record.label, wanted.label);
    EXPECT_EQ(record.shape, shape);
    EXPECT_EQ(record.bytes, wanted.bytes);
  }
}

TEST_F(Lmdb, FloatsSurvive) {
  Record record;
  record.shape = {2, 1, 2};
  record.floats = {0.5f, -1.0f, 3.25f, 1e-9f};
  const auto writer = open_lmdb_writer(folder / "set", {});
  writer->add(record);
  writer->finish();
  EXPECT_EQ(open_source(folder / "set", TEST)->read(0).floats, record.floats);
}

TEST_F(Lmdb, SourcesOfOnePathShareTheEnvironment) {
  const std::string path = write_raw("set", {{"a", datum(1, 1, "x")}, {"b", datum(1, 1, "y")}});
  const SourcePtr first = open_source(path, TRAIN);
  const SourcePtr second =
      open_source(folder / "../" + fs::path(folder.path()).filename().string() + "/set", TEST);
  EXPECT_EQ(first->read(1).bytes, second->read(1).bytes);
}

TEST_F(Lmdb, NamesADamagedRecord) {
  const std::string path = write_raw("set", {{"0_good", datum(1, 2, "abcd")},
                                             {"1_bad", std::string("\xff\xff\xff garbage")},
                                             {"2_short", datum(3, 2, "abc")},
                                             {"3_nothing", ""},
                                             {"4_sizes", datum(-3, 1 << 30, "abc")}});
  const SourcePtr source = open_source(path, TEST);
  EXPECT_EQ(source->read(0).bytes.size(), 4u);
  const auto read = [&](int64_t i) { return error_of<DataError>([&] { source->read(i); }); };
  EXPECT_ONE_LINE(read(1), path, "1_bad", "damaged");
  EXPECT_ONE_LINE(read(2), path, "2_short", "3 pixel values", "(3,2,2)");
  EXPECT_ONE_LINE(read(3), path, "3_nothing", "0 pixel values");
  EXPECT_ONE_LINE(read(4), path, "4_sizes");
}

TEST_F(Lmdb, NamesAnImageThatCannotBeDecoded) {
  Datum bad;
  bad.set_encoded(true);
  bad.set_data("this is no JPEG");
  const std::string path = write_raw("set", {{"0_bad", bad.SerializeAsString()}});
  EXPECT_ONE_LINE(
      error_of<DataError>([&] { open_loader(data_layer(path, DataParameter::LMDB), {}, ""); }),
      path, "0_bad", "decoded");
}

TEST_F(Lmdb, NamesADatabaseThatIsNone) {
  const auto open = [&](const std::string& path) {
    return error_of<DataError>(
        [&] { open_source(data_layer(path, DataParameter::LMDB), TEST, ""); });
  };
  EXPECT_ONE_LINE(open(folder / "nowhere"), "nowhere", "no such folder");
  EXPECT_ONE_LINE(open(folder.path()), folder.path(), "data.mdb");
  EXPECT_ONE_LINE(open(write_raw("empty", {})), "empty", "data set is empty");

  fs::create_directory(folder / "zero");
  write_text(folder / "zero/data.mdb", "");
  EXPECT_ONE_LINE(open(folder / "zero"), "zero", "empty file");
  fs::create_directory(folder / "text");
  write_text(folder / "text/data.mdb", std::string(20000, 'x'));
  EXPECT_ONE_LINE(open(folder / "text"), "text");

  const std::string cut = write_raw("cut", {{"0", datum(3, 64, std::string(3 * 64 * 64, 'x'))}});
  fs::resize_file(cut + "/data.mdb", 12288);
  EXPECT_ONE_LINE(open(cut), cut, "truncated", "12288");
}

TEST_F(Lmdb, AppendingGoesOnBeyondTheFirstMap) {
  for (int64_t part = 0; part < 3; ++part) {
    LmdbAppender lmdb(folder / "set", LmdbAppender::Sync::at_end);
    ASSERT_EQ(lmdb.size(), 30 * part);
    std::vector<LmdbItem> items;
    for (int64_t i = 0; i < 30; ++i) {
      items.push_back(lmdb_item(30 * part + i, numbered_record(i, 0, {1, 1024, 1024})));
    }
    lmdb.append(items);
  }
  EXPECT_EQ(open_source(folder / "set", TRAIN)->read(89).bytes,
            numbered_record(29, 0, {1, 1024, 1024}).bytes);
}

TEST_F(Lmdb, LongKeysAreCut) {
  Record record = numbered_record(0, 0, {1, 1, 1});
  record.key = std::string(600, 'k');
  const auto writer = open_lmdb_writer(folder / "set", {});
  writer->add(record);
  writer->finish();
  EXPECT_EQ(open_source(folder / "set", TRAIN)->key(0), "00000000_" + std::string(502, 'k'));
}

// The list of records that is kept beside a large database.
class LmdbKeys : public ::testing::Test {
 protected:
  static constexpr int64_t kRecords = 10000;
  LmdbKeys() : path(folder / "set"), list(path + "/data.mdb.keys") { write(0); }

  // Record i has one byte, i + first.
  void write(int64_t first) const {
    fs::remove_all(path);
    const auto writer = open_lmdb_writer(path, {});
    for (int64_t i = 0; i < kRecords; ++i) {
      Record record = numbered_record(i, i % 7, {1, 1, 1});
      record.bytes[0] = static_cast<uint8_t>(i + first);
      writer->add(record);
    }
    writer->finish();
  }
  void expect_records(int64_t first = 0) const {
    const SourcePtr source = open_source(path, TRAIN);
    ASSERT_EQ(source->size(), kRecords);
    for (int64_t i = 0; i < kRecords; i += 37) {
      const Record record = source->read(i);
      ASSERT_EQ(record.bytes[0], static_cast<uint8_t>(i + first));
      ASSERT_EQ(record.label, i % 7);
      ASSERT_EQ(source->key(i).substr(9), "image" + std::to_string(i));
    }
  }
  std::vector<char> content() const { return read_binary<char>(list); }
  void set_content(const std::vector<char>& bytes) const {
    write_text(list, {bytes.data(), bytes.size()});
  }

  ScratchDirectory folder;
  std::string path, list;
};

TEST_F(LmdbKeys, AreKeptAndUsed) {
  ASSERT_FALSE(fs::exists(list));
  expect_records();
  ASSERT_TRUE(fs::exists(list));
  EXPECT_EQ(content().size(), 40u + 24u * kRecords + 8u);
  expect_records();
  // The list is what counts: with the places of the first two records exchanged, so are they.
  const std::vector<char> good = content();
  std::vector<char> swapped = good;
  std::swap_ranges(swapped.begin() + 40, swapped.begin() + 64, swapped.begin() + 64);
  write_kept_file(list, {swapped.data(), swapped.size() - 8});
  EXPECT_EQ(open_source(path, TRAIN)->read(0).bytes[0], 1);
}

TEST_F(LmdbKeys, LieInsideTheFile) {
  EXPECT_TRUE(is_inside({0, 4, 10, 6}, 10));
  EXPECT_FALSE(is_inside({1, 4, 10, 6}, 10));
  EXPECT_FALSE(is_inside({0, 4, 10, 7}, 10));
  EXPECT_FALSE(is_inside({11, 4, 0, 6}, 10));
  EXPECT_FALSE(is_inside({0, ~uint64_t{0}, 10, 6}, 10));
}

TEST_F(LmdbKeys, StaleAndDamagedListsAreMadeAgain) {
  expect_records();
  const std::vector<char> good = content();
  const auto expect_made_again = [&](const std::vector<char>& bytes) {
    set_content(bytes);
    expect_records();
    EXPECT_EQ(content(), good);
  };
  for (const size_t size : {size_t{0}, size_t{7}, size_t{40}, good.size() / 2, good.size() - 1}) {
    expect_made_again({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  for (const size_t at : {size_t{0}, size_t{9}, size_t{33}, size_t{50}, good.size() - 3}) {
    std::vector<char> damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    expect_made_again(damaged);
  }
  // Hostile ones: the checksum is right, but places lie outside of the file.
  for (const size_t field : {size_t{0}, size_t{8}, size_t{16}, size_t{20}}) {
    std::vector<char> hostile = good;
    std::fill_n(hostile.begin() + 40 + 24 * 5000 + static_cast<std::ptrdiff_t>(field), 4, '\xff');
    std::fill_n(hostile.begin() + 40 + 24 * 5000 + static_cast<std::ptrdiff_t>(field | 4) % 24, 4,
                '\xff');
    write_kept_file(list, {hostile.data(), hostile.size() - 8});
    expect_records();
    EXPECT_EQ(content(), good);
  }
  // Of another database.
  write(100);
  set_content(good);
  expect_records(100);
  EXPECT_NE(content(), good);
}

TEST_F(LmdbKeys, NobodyNeedsThem) {
  fs::create_directory(list);  // nothing can be written there
  expect_records();
  EXPECT_TRUE(fs::is_directory(list));
}

}  // namespace
}  // namespace resnet::testing
