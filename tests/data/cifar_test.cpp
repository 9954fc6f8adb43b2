// CIFAR-10's binary files as a source.
#include <filesystem>

#include "data/data_test_util.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

constexpr auto kCifar = DataParameter::CIFAR10;

class Cifar : public ::testing::Test {
 protected:
  ScratchDirectory folder;
};

TEST_F(Cifar, DeliversPlanesInBgrOrder) {
  std::ofstream file(folder / "test_batch.bin", std::ios::binary);
  file.put(7);
  for (const char plane : {'R', 'G', 'B'}) file << std::string(1024, plane);
  file.close();
  const Record record = open_source(folder.path(), TEST)->read(0);
  EXPECT_EQ(record.label, 7);
  EXPECT_EQ(record.key, "test_batch.bin:0");
  EXPECT_EQ(record.shape, (Shape{3, 32, 32}));
  EXPECT_EQ(record.bytes[0], 'B');
  EXPECT_EQ(record.bytes[1024], 'G');
  EXPECT_EQ(record.bytes[3071], 'R');
}

TEST_F(Cifar, PhaseChoosesTheFilesOfAFolder) {
  write_cifar(folder / "data_batch_1.bin", 0, 5);
  write_cifar(folder / "data_batch_2.bin", 5, 3);
  write_cifar(folder / "test_batch.bin", 100, 2);
  write_text(folder / "batches.meta.txt", "cat\ndog\n\n");
  const LayerParameter layer = data_layer(folder.path(), kCifar);
  const SourcePtr train = open_source(layer, TRAIN, "");
  const SourcePtr test = open_source(layer, TEST, "");
  ASSERT_EQ(train->size(), 8);
  ASSERT_EQ(test->size(), 2);
  EXPECT_EQ(train->class_names(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(train->key(4), "data_batch_1.bin:4");
  EXPECT_EQ(train->key(5), "data_batch_2.bin:0");
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(train->read(i).bytes, numbered_record(i, 0).bytes);
  EXPECT_EQ(test->read(1).bytes, numbered_record(101, 0).bytes);
}

TEST_F(Cifar, FilesAreJoinedByCommasAndSoughtBesideThePrototxt) {
  write_cifar(folder / "a.bin", 0, 2);
  write_cifar(folder / "b.bin", 2, 2);
  const SourcePtr source = open_source(data_layer("b.bin,a.bin", kCifar), TRAIN, folder.path());
  ASSERT_EQ(source->size(), 4);
  EXPECT_EQ(source->key(0), "b.bin:0");
  EXPECT_EQ(source->read(2).bytes, numbered_record(0, 0).bytes);
  EXPECT_EQ(open_source(folder / "a.bin," + folder / "b.bin", TEST)->size(), 4);
}

TEST_F(Cifar, TakesAPartOfTheRecords) {
  write_cifar(folder / "data_batch_1.bin", 0, 10);
  LayerParameter layer = data_layer(folder.path(), kCifar);
  layer.mutable_data_param()->set_record_begin(6);
  const SourcePtr tail = open_source(layer, TRAIN, "");
  ASSERT_EQ(tail->size(), 4);
  EXPECT_EQ(tail->key(0), "data_batch_1.bin:6");
  EXPECT_EQ(tail->read(3).bytes, numbered_record(9, 0).bytes);
  layer.mutable_data_param()->set_record_end(11);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_source(layer, TRAIN, ""); }), "[6,11)", "10");
}

TEST_F(Cifar, NamesWhatIsWrong) {
  const auto open = [&](const std::string& path, Phase phase) {
    return error_of<DataError>([&] { open_source(data_layer(path, kCifar), phase, ""); });
  };
  EXPECT_ONE_LINE(open(folder / "nowhere", TRAIN), "nowhere", "No such file");
  EXPECT_ONE_LINE(open(folder.path(), TEST), "test_batch.bin", "No such file");
  EXPECT_ONE_LINE(open(folder.path(), TRAIN), "data_batch_1.bin", "No such file");
  write_text(folder / "test_batch.bin", "");
  EXPECT_ONE_LINE(open(folder.path(), TEST), "test_batch.bin", "empty");
  write_cifar(folder / "data_batch_1.bin", 0, 3);
  fs::resize_file(folder / "data_batch_1.bin", 3 * kCifarRecordBytes - 1);
  EXPECT_ONE_LINE(open(folder.path(), TRAIN), "data_batch_1.bin", "9218", "3073", "truncated");
}

TEST_F(Cifar, MissesAFileInTheMiddle) {
  write_cifar(folder / "data_batch_1.bin", 0, 1);
  write_cifar(folder / "data_batch_3.bin", 0, 1);
  EXPECT_ONE_LINE(error_of<DataError>([&] { open_source(folder.path(), TRAIN); }),
                  "data_batch_2.bin", "No such file");
}

TEST_F(Cifar, NoticesAFileThatShrinksWhileItIsRead) {
  write_cifar(folder / "test_batch.bin", 0, 2);
  const SourcePtr source = open_source(folder.path(), TEST);
  fs::resize_file(folder / "test_batch.bin", 5000);
  EXPECT_ONE_LINE(error_of<DataError>([&] { source->read(1); }), "record test_batch.bin:1");
}

TEST_F(Cifar, GuessingRefusesOtherThings) {
  EXPECT_ONE_LINE(error_of<DataError>([&] { open_source(folder.path(), TEST); }), folder.path(),
                  "neither");
  EXPECT_ONE_LINE(error_of<DataError>([&] { open_source(folder / "x", TEST); }), "no such file");
}

TEST(DummyData, IsAPureFunctionOfTheIndex) {
  LayerParameter layer;
  layer.set_name("noise");
  layer.set_type("DummyData");
  layer.add_top("data");
  layer.add_top("label");
  DummyDataParameter& param = *layer.mutable_dummy_data_param();
  BlobShape* shape = param.add_shape();
  for (const int64_t dim : {6, 3, 4, 5}) shape->add_dim(dim);
  param.add_shape()->add_dim(6);
  param.add_data_filler()->set_type("gaussian");
  FillerParameter& label = *param.add_data_filler();
  label.set_type("uniform");
  label.set_max(10);
  const SourcePtr source = open_source(layer, TRAIN, "");
  ASSERT_EQ(source->size(), 6);
  const Record record = source->read(2);
  EXPECT_EQ(record.shape, (Shape{3, 4, 5}));
  EXPECT_EQ(record.floats, source->read(2).floats);
  EXPECT_NE(record.floats, source->read(3).floats);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_GE(source->read(i).label, 0);
    EXPECT_LT(source->read(i).label, 10);
  }
  LayerParameter other = layer;
  other.set_name("more_noise");
  EXPECT_NE(open_source(other, TRAIN, "")->read(2).floats, record.floats);

  param.mutable_shape(1)->set_dim(0, 5);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_source(layer, TRAIN, ""); }), "'noise'", "(5)");
  param.mutable_shape(1)->set_dim(0, 6);
  label.set_type("msra");
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_source(layer, TRAIN, ""); }), "msra",
                  "constant");
}

TEST(DummyData, UnderstandsTheOldShapeAndZerosByDefault) {
  LayerParameter layer;
  layer.set_name("zeros");
  layer.set_type("DummyData");
  layer.add_top("data");
  DummyDataParameter& param = *layer.mutable_dummy_data_param();
  param.add_num(2);
  param.add_channels(1);
  param.add_height(3);
  param.add_width(4);
  const Record record = open_source(layer, TEST, "")->read(1);
  EXPECT_EQ(record.shape, (Shape{1, 3, 4}));
  EXPECT_EQ(record.floats, std::vector<float>(12, 0.0f));
  EXPECT_EQ(record.label, 0);
}

}  // namespace
}  // namespace resnet::testing
