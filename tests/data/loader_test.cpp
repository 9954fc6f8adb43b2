// The loader: order, batches, independence of threads, errors.
#include <set>

#include "data/data_test_util.h"
#include "data/permutation.h"
#include "resnet/base/parallel.h"

namespace resnet::testing {
namespace {

Transformer augmenting(Phase phase) {
  TransformationParameter param;
  param.set_pad(4);
  param.set_crop_size(32);
  param.set_mirror(true);
  return Transformer(param, phase, "");
}

LoaderOptions training(int64_t batch, int threads = 0) {
  LoaderOptions options;
  options.phase = TRAIN;
  options.batch = batch;
  options.seed = 5;
  options.shuffle = true;
  options.loader_threads = threads;
  return options;
}

struct Batch {
  std::vector<float> data, labels;
  int64_t count;
  bool operator==(const Batch&) const = default;
};

Batch take(Loader& loader) {
  Batch batch;
  batch.data.resize(static_cast<size_t>(loader.batch_shape().count()));
  batch.labels.resize(static_cast<size_t>(loader.options().batch));
  batch.count = loader.next(batch.data.data(), batch.labels.data());
  return batch;
}

std::vector<Batch> take(Loader& loader, int count) {
  std::vector<Batch> out;
  for (int i = 0; i < count; ++i) out.push_back(take(loader));
  return out;
}

TEST(Permutation, IsOneAndChangesWithSeedAndEpoch) {
  const std::vector<uint32_t> order = permutation(1, 0, 1000);
  EXPECT_EQ(std::set<uint32_t>(order.begin(), order.end()).size(), 1000u);
  EXPECT_EQ(*std::max_element(order.begin(), order.end()), 999u);
  EXPECT_EQ(order, permutation(1, 0, 1000));
  EXPECT_NE(order, permutation(1, 1, 1000));
  EXPECT_NE(order, permutation(2, 0, 1000));
}

TEST(Loader, EveryEpochHoldsEveryRecordOnce) {
  Loader loader(numbered_source(23), Transformer({}, TRAIN, ""), training(5));
  std::vector<std::string> stream;
  for (int i = 0; i < 23; ++i) {  // 5 epochs
    const std::vector<std::string> keys = loader.record_keys(loader.position(), 5);
    stream.insert(stream.end(), keys.begin(), keys.end());
    const Batch batch = take(loader);
    EXPECT_EQ(batch.count, 5);
    for (size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(batch.labels[k], static_cast<float>(std::stoi(keys[k].substr(5)) % 10));
    }
  }
  EXPECT_EQ(loader.position(), 115);
  std::set<std::vector<std::string>> orders;
  for (auto epoch = stream.begin(); epoch != stream.end(); epoch += 23) {
    EXPECT_EQ(std::set<std::string>(epoch, epoch + 23).size(), 23u);
    orders.insert({epoch, epoch + 23});
  }
  EXPECT_EQ(orders.size(), 5u);
}

TEST(Loader, WithoutShuffleTheKeysFollowOneAnother) {
  LoaderOptions options = training(4);
  options.shuffle = false;
  Loader loader(numbered_source(6), Transformer({}, TRAIN, ""), options);
  for (int i = 0; i < 4; ++i) {
    const Batch batch = take(loader);
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(batch.labels[k], static_cast<float>((static_cast<size_t>(i) * 4 + k) % 6));
    }
  }
}

TEST(Loader, BatchesLargerThanTheSetAreFull) {
  Loader loader(numbered_source(3), Transformer({}, TRAIN, ""), training(10));
  EXPECT_EQ(take(loader).count, 10);
  EXPECT_EQ(loader.position(), 10);
}

TEST(Loader, ThreadsAndCutsDoNotMatter) {
  const SourcePtr source = numbered_source(50);
  Loader plain(source, augmenting(TRAIN), training(8));
  const std::vector<Batch> wanted = take(plain, 20);
  const int compute_threads = num_threads();
  for (const int compute : {1, 3}) {
    set_num_threads(compute);
    for (const int threads : {0, 1, 2, 5}) {
      Loader loader(source, augmenting(TRAIN), training(8, threads));
      EXPECT_EQ(take(loader, 20), wanted) << threads << " loader threads";
      EXPECT_EQ(loader.position(), 160);
      loader.seek(48);  // resume
      EXPECT_EQ(take(loader), wanted[6]);
      EXPECT_EQ(take(loader), wanted[7]);
    }
  }
  set_num_threads(compute_threads);
}

TEST(Loader, OtherSeedsGiveOtherStreams) {
  LoaderOptions options = training(8);
  Loader one(numbered_source(50), augmenting(TRAIN), options);
  options.seed = 6;
  Loader two(numbered_source(50), augmenting(TRAIN), options);
  EXPECT_NE(take(one), take(two));
}

TEST(Loader, ATestPassCoversEachRecordOnce) {
  for (const int threads : {0, 2}) {
    LoaderOptions options;
    options.batch = 4;
    options.loader_threads = threads;
    Loader loader(numbered_source(10), augmenting(TEST), options);
    for (int pass = 0; pass < 2; ++pass) {
      std::vector<float> labels;
      std::vector<int64_t> counts;
      for (Batch batch = take(loader); batch.count > 0; batch = take(loader)) {
        counts.push_back(batch.count);
        labels.insert(labels.end(), batch.labels.begin(), batch.labels.begin() + batch.count);
      }
      EXPECT_EQ(counts, (std::vector<int64_t>{4, 4, 2}));
      EXPECT_EQ(labels, (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
      loader.seek(0);
    }
  }
}

TEST(Loader, LeavesRowsBeyondTheCountAlone) {
  LoaderOptions options;
  options.batch = 4;
  Loader loader(numbered_source(3), Transformer({}, TEST, ""), options);
  std::vector<float> data(static_cast<size_t>(loader.batch_shape().count()), -7), labels(4, -7);
  EXPECT_EQ(loader.next(data.data(), labels.data()), 3);
  EXPECT_EQ(labels[3], -7);
  EXPECT_EQ(data[3 * 3072], -7);
}

TEST(Loader, EitherOutputMayBeLeftOut) {
  for (const int threads : {0, 2}) {
    Loader loader(numbered_source(10), augmenting(TRAIN), training(5, threads));
    const Batch batch = take(loader);
    loader.seek(0);
    std::vector<float> labels(5);
    loader.next(nullptr, labels.data());
    EXPECT_EQ(labels, batch.labels);
    loader.seek(0);
    std::vector<float> data(batch.data.size());
    loader.next(data.data(), nullptr);
    EXPECT_EQ(data, batch.data);
  }
}

TEST(Loader, TheFirstBadLabelIsNamedForAnyThreads) {
  std::vector<Record> records;
  for (int64_t i = 0; i < 40; ++i) records.push_back(numbered_record(i, i % 10));
  records[29].label = 10;
  records[30].label = -1;
  const auto source = std::make_shared<MemorySource>(records);
  for (const int threads : {0, 1, 4}) {
    LoaderOptions options;
    options.batch = 16;
    options.label_limit = 10;
    options.loader_threads = threads;
    Loader loader(source, Transformer({}, TEST, ""), options);
    EXPECT_EQ(take(loader).count, 16);
    for (int again = 0; again < 2; ++again) {
      EXPECT_ONE_LINE(error_of<DataError>([&] { take(loader); }), "memory", "image29", "label 10",
                      "[0,10)");
      EXPECT_EQ(loader.position(), 16);
    }
  }
}

TEST(Loader, NamesARecordOfAnotherSize) {
  std::vector<Record> records{numbered_record(0, 0), numbered_record(1, 1, {3, 40, 36})};
  const auto source = std::make_shared<MemorySource>(records);
  LoaderOptions options;
  options.batch = 2;
  Loader loader(source, Transformer({}, TEST, ""), options);
  EXPECT_ONE_LINE(error_of<DataError>([&] { take(loader); }), "image1", "(3,40,36)", "(3,32,32)",
                  "crop_size");
  TransformationParameter crop;
  crop.set_crop_size(28);
  Loader cropping(source, Transformer(crop, TEST, ""), options);
  EXPECT_EQ(take(cropping).count, 2);
}

TEST(Loader, OpensADataLayer) {
  const ScratchDirectory folder;
  write_cifar(folder / "data_batch_1.bin", 0, 12);
  LayerParameter layer = data_layer(folder.path(), DataParameter::CIFAR10, 6);
  layer.mutable_data_param()->set_shuffle(true);
  layer.mutable_transform_param()->set_crop_size(28);
  const auto loader = open_loader(layer, training(1), "");
  EXPECT_EQ(loader->batch_shape(), (Shape{6, 3, 28, 28}));
  EXPECT_EQ(loader->size(), 12);
  EXPECT_EQ(take(*loader).count, 6);
  EXPECT_GT(loader->wait_seconds(), 0);

  layer.mutable_data_param()->set_batch_size(0);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_loader(layer, training(1), ""); }),
                  "layer 'data'", "batch_size");
  layer.mutable_data_param()->set_batch_size(6);
  layer.mutable_transform_param()->set_crop_size(33);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_loader(layer, training(1), ""); }),
                  "layer 'data'", "crop_size 33");
}

TEST(Loader, OpensADummyDataLayerOfAnyRank) {
  LayerParameter layer;
  layer.set_name("x");
  layer.set_type("DummyData");
  layer.add_top("x");
  BlobShape* shape = layer.mutable_dummy_data_param()->add_shape();
  shape->add_dim(4);
  shape->add_dim(7);
  layer.mutable_dummy_data_param()->add_data_filler()->set_value(2.5f);
  const auto loader = open_loader(layer, training(1), "");
  EXPECT_EQ(loader->batch_shape(), (Shape{4, 7}));
  EXPECT_EQ(take(*loader).data, std::vector<float>(28, 2.5f));
}

}  // namespace
}  // namespace resnet::testing
