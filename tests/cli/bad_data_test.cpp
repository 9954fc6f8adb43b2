// Data sets, images and arrays that cannot be read: one line and exit code 3.
#include <gtest/gtest.h>

#include "cli/npy_file.h"
#include "cli/tool.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet::test {
namespace {

std::string datum(int label, int size = 8) {
  Datum datum;
  datum.set_channels(3);
  datum.set_height(size);
  datum.set_width(size);
  datum.set_label(label);
  datum.set_data(std::string(static_cast<size_t>(3 * size * size), '\x40'));
  return datum.SerializeAsString();
}

class BadData : public testing::Test {
 protected:
  // Trains on a database of these values.
  void expect_refused(const std::vector<std::string>& values,
                      const std::vector<std::string>& parts) const {
    std::filesystem::remove_all(files_.path("train_lmdb"));
    write_lmdb(files_.path("train_lmdb"), values);
    expect_failure(files_.train(), 3, parts);
  }
  Workspace files_;
};

TEST_F(BadData, LabelOutOfRange) {
  expect_refused({datum(0), datum(7), datum(1)}, {"train_lmdb", "00000001_x", "label 7", "[0,3)"});
}

TEST_F(BadData, NegativeLabel) {
  expect_refused({datum(0), datum(-1)}, {"00000001_x", "label -1"});
}

TEST_F(BadData, CorruptRecord) {
  expect_refused({datum(0), "\xff\xff\xff garbage", datum(1)}, {"train_lmdb", "00000001_x"});
}

TEST_F(BadData, TruncatedRecord) {
  expect_refused({datum(0), datum(1).substr(0, 60), datum(1)}, {"train_lmdb", "00000001_x"});
}

TEST_F(BadData, RecordsOfDifferentSizes) {
  expect_refused({datum(0), datum(1, 9), datum(2)}, {"train_lmdb", "00000001_x", "(3,9,9)"});
}

TEST_F(BadData, EmptySet) { expect_refused({}, {"train_lmdb"}); }

TEST_F(BadData, NoSuchSet) {
  std::filesystem::remove_all(files_.path("train_lmdb"));
  expect_failure(files_.train(), 3, {"train_lmdb"});
}

TEST_F(BadData, NotADatabase) {
  files_.write("train_lmdb/data.mdb", "this is no database");
  expect_failure(files_.train(), 3, {"train_lmdb"});
}

TEST_F(BadData, TruncatedDatabase) {
  const std::string bytes = files_.read("train_lmdb/data.mdb");
  files_.write("train_lmdb/data.mdb", bytes.substr(0, bytes.size() / 2));
  expect_failure(files_.train(), 3, {"train_lmdb"});
}

TEST_F(BadData, ImagesAndArrays) {
  ASSERT_EQ(files_.train().code, 0);
  const std::vector<std::string> net = {"--quiet", "--model=deploy.prototxt",
                                        "--weights=snap/tiny_iter_4.caffemodel"};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, net.begin(), net.end());
    return files_.run(arguments);
  };
  files_.write("text.jpg", "no image");
  files_.write("empty.jpg", "");
  expect_failure(run({"predict", "text.jpg"}), 3, {"text.jpg"});
  expect_failure(run({"predict", "empty.jpg"}), 3, {"empty.jpg"});
  expect_failure(run({"predict", "none.jpg"}), 3, {"none.jpg"});
  expect_failure(run({"predict", "--list=none.txt"}), 3, {"none.txt"});
  expect_failure(run({"predict"}), 2, {"no images"});
  files_.write_image("red.ppm", 8, 8, 255, 0, 0);
  expect_failure(run({"predict", "--labels=none.txt", "red.ppm"}), 3, {"none.txt"});
  expect_failure(run({"predict", "--top=0", "red.ppm"}), 2, {"--top"});

  expect_failure(run({"extract", "--output=out", "red.ppm"}), 2, {"--blobs"});
  expect_failure(run({"extract", "--output=out", "--blobs=prog", "red.ppm"}), 2, {"'prog'"});
  expect_failure(run({"extract", "--output=out", "--blobs=prob", "--input=text.jpg"}), 3,
                 {"text.jpg", ".npy"});
  expect_failure(run({"extract", "--output=red.ppm/out", "--blobs=prob", "red.ppm"}), 3,
                 {"red.ppm/out"});
  EXPECT_FALSE(files_.has("out/prog.npy"));
}

TEST_F(BadData, DamagedArrays) {
  ASSERT_EQ(files_.train().code, 0);
  const std::string good = npy_bytes("(1, 3, 8, 8)", std::vector<float>(192, 0.5F));
  const auto refused = [&](const std::string& from, const std::string& to, int code) {
    files_.write("x.npy", good);
    if (!from.empty()) files_.replace("x.npy", from, to);
    const RunResult result = files_.run({"extract", "--quiet", "--model=deploy.prototxt",
                                         "--weights=snap/tiny_iter_4.caffemodel", "--blobs=prob",
                                         "--input=x.npy", "--output=out"});
    if (code == 0) {
      EXPECT_EQ(result.code, 0) << result.err;
    } else {
      expect_failure(result, code, {"x.npy"});
    }
  };
  refused("", "", 0);
  refused("(1, 3, 8, 8)", "(2, 3, 8, 8)", 3);
  refused("(1, 3, 8, 8)", "(3, 8, 8)   ", 3);
  refused("(1, 3, 8, 8)", "(1, 3, 8,-8)", 3);
  refused("(1, 3, 8, 8), }        ", "(4611686018427387904,)}", 3);
  refused("'<f4'", "'<i4'", 3);
  refused("'<f4'", "'<f8'", 3);
  refused("False", "True ", 0);  // Fortran order
  refused("False", "Maybe", 3);
  refused("NUMPY", "NUMPI", 3);
  refused("'shape'", "'shapp'", 3);
  refused("(1, 3, 8, 8)", "(1, 3, 16,4)", 2);  // sound, but not what the net takes
}

TEST_F(BadData, LossThatIsNotFinite) {
  files_.replace("solver.prototxt", "base_lr: 0.1", "base_lr: 1e30");
  const RunResult result = files_.train();
  EXPECT_EQ(result.code, 5) << result.err;
  EXPECT_EQ(result.complaints().size(), 1U) << result.err;
}

}  // namespace
}  // namespace resnet::test
