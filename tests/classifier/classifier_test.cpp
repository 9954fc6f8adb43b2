// resnet::Classifier: the results of `resnet predict`, from every kind of input and from several threads.
#include "resnet/classifier/classifier.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <thread>

#include "cli/tool.h"
#include "data/jpeg_files.h"
#include "resnet/backend/backend.h"
#include "resnet/data/transform.h"
#include "resnet/eval/weights.h"
#include "resnet/exchange/model_file.h"
#include "resnet/io/prototxt.h"
#include "resnet/net/net.h"

namespace resnet::test {
namespace {

constexpr char kBody[] = R"(
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 3 stride: 2 weight_filler { type: "msra" } }
}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE global_pooling: true }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } }
}
)";
constexpr char kInput[] =
    R"(layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } })";
constexpr char kData[] =
    R"(layer { name: "data" type: "Data" top: "data" data_param { source: "gone" batch_size: 4 } })";
constexpr char kSoftmax[] = R"(layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" })";

Preprocessing rule() {
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::SHORT_SIDE);
  rule.set_resize_size(28);
  rule.set_crop_size(24);
  rule.set_scale(0.017F);
  for (const float mean : {103.9F, 116.8F, 123.7F}) rule.add_mean_value(mean);
  for (const char* name : {"zero", "one", "two", "three", "four"}) rule.add_class_name(name);
  return rule;
}

// The net with random weights.
NetParameter random_net(const std::string& model,
                        const std::optional<Preprocessing>& preprocessing) {
  Net net(parse_net_prototxt(model), make_backend("reference"), {}, {}, {});
  net.initialize(3);
  for (size_t i = 0; i < net.parameters().size(); ++i) {
    const Parameter& parameter = net.parameters()[i];
    if (parameter.role != "variance" && parameter.role != "factor") continue;
    net.write_parameter(static_cast<int>(i),
                        std::vector<float>(static_cast<size_t>(parameter.shape.count()), 1.0F));
  }
  return with_weights(net, preprocessing);
}

class ClassifierTest : public ::testing::Test {
 protected:
  ClassifierTest() {
    const std::string deploy = std::string(kInput) + kBody + kSoftmax;
    files_.write("deploy.prototxt", deploy);
    files_.write("logits.prototxt", std::string(kInput) + kBody);
    files_.write("data.prototxt", std::string(kData) + kBody + kSoftmax);
    write_caffemodel(files_.path("net.caffemodel"), random_net(deploy, rule()), 1);
    write_caffemodel(files_.path("bare.caffemodel"), random_net(deploy, std::nullopt), 1);
    write_model_file(files_.path("one.caffemodel"), random_net(deploy, std::nullopt), rule(), {},
                     1);
    for (int i = 0; i < 5; ++i) {
      const std::vector<uint8_t> bytes =
          testing::jpeg_file({.name = "colour", .channels = i == 4 ? 1 : 3}, 30 + 7 * i, 60 - 5 * i,
                             static_cast<uint32_t>(i + 1));
      files_.write(name(i), std::string(bytes.begin(), bytes.end()));
    }
  }

  static std::string name(int i) { return "image" + std::to_string(i) + ".jpg"; }
  std::vector<AnyImage> images() const {
    std::vector<AnyImage> all;
    for (int i = 0; i < 5; ++i) all.emplace_back(ImageFile{files_.path(name(i))});
    return all;
  }
  ClassifierOptions options(const std::string& model = "deploy.prototxt",
                            const std::string& weights = "net.caffemodel") const {
    ClassifierOptions options;
    options.model = files_.path(model);
    options.weights = files_.path(weights);
    options.device = "cpu";
    return options;
  }

  // What `resnet predict --json` finds in the images.
  std::vector<Ranking> predicted(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"predict", "--quiet", "--json", "--device=cpu"});
    for (int i = 0; i < 5; ++i) flags.push_back(name(i));
    const RunResult result = files_.run_ok(flags);
    google::protobuf::Struct root;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(result.out, &root).ok()) << result.out;
    std::vector<Ranking> rankings;
    for (const auto& image : root.fields().at("predictions").list_value().values()) {
      Ranking ranking;
      const auto& classes = image.struct_value().fields().at("classes").list_value();
      for (const auto& entry : classes.values()) {
        const auto& fields = entry.struct_value().fields();
        ranking.push_back({static_cast<int64_t>(fields.at("label").number_value()),
                           fields.at("name").string_value(),
                           fields.at("probability").number_value()});
      }
      rankings.push_back(ranking);
    }
    EXPECT_EQ(rankings.size(), 5U);
    return rankings;
  }

  Workspace files_;
};

void expect_equal(const std::vector<Ranking>& found, const std::vector<Ranking>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].size(), wanted[i].size());
    for (size_t k = 0; k < found[i].size(); ++k) {
      EXPECT_EQ(found[i][k].label, wanted[i][k].label) << "image " << i << ", place " << k;
      EXPECT_EQ(found[i][k].name, wanted[i][k].name) << "image " << i << ", place " << k;
      EXPECT_EQ(found[i][k].probability, wanted[i][k].probability) << "image " << i << ", " << k;
    }
  }
}

TEST_F(ClassifierTest, GivesWhatPredictGives) {
  const Classifier classifier(options());
  EXPECT_EQ(classifier.classes(), 7);
  EXPECT_EQ(classifier.channels(), 3);
  EXPECT_EQ(classifier.height(), 24);
  EXPECT_EQ(classifier.width(), 24);
  EXPECT_EQ(classifier.class_name(4), "four");
  EXPECT_EQ(classifier.class_name(5), "class 5");
  const std::vector<Ranking> found = classifier.classify(images(), 5);
  expect_equal(found, predicted({"--model=deploy.prototxt", "--weights=net.caffemodel"}));
  EXPECT_NE(found[0][0].probability, found[1][0].probability);
  const std::vector<AnyImage> one = {images()[0]};
  EXPECT_EQ(classifier.classify(one, 9).front().size(), 7U);
}

TEST_F(ClassifierTest, BatchesAndOneByOne) {
  ClassifierOptions two = options();
  two.batch = 2;
  two.threads = 2;
  expect_equal(Classifier(two).classify(images()),
               predicted({"--model=deploy.prototxt", "--weights=net.caffemodel", "--batch=2",
                          "--threads=2"}));
  const Classifier classifier(options());
  std::vector<Ranking> single;
  for (const AnyImage& image : images()) single.push_back(classifier.classify(image));
  expect_equal(single,
               predicted({"--model=deploy.prototxt", "--weights=net.caffemodel", "--batch=1"}));
}

TEST_F(ClassifierTest, LogitsLabelsAndNetsWithoutPreprocessing) {
  files_.write("labels.txt", "a\nb\nc\nd\ne\nf\ng h\n");
  ClassifierOptions logits = options("logits.prototxt");
  logits.labels = files_.path("labels.txt");
  expect_equal(
      Classifier(logits).classify(images()),
      predicted({"--model=logits.prototxt", "--weights=net.caffemodel", "--labels=labels.txt"}));
  expect_equal(Classifier(options("deploy.prototxt", "bare.caffemodel")).classify(images()),
               predicted({"--model=deploy.prototxt", "--weights=bare.caffemodel"}));
}

TEST_F(ClassifierTest, NetsThatReadADataSet) {
  expect_equal(Classifier(options("data.prototxt")).classify(images()),
               predicted({"--model=data.prototxt", "--weights=net.caffemodel"}));
  EXPECT_THROW(Classifier(options("data.prototxt", "bare.caffemodel")), ConfigError);
}

TEST_F(ClassifierTest, OneFileModels) {
  ClassifierOptions one;
  one.weights = files_.path("one.caffemodel");
  one.device = "cpu";
  const std::vector<Ranking> found = Classifier(one).classify(images());
  expect_equal(found, Classifier(options()).classify(images()));
  expect_equal(found, predicted({"--weights=one.caffemodel"}));
  EXPECT_EQ(Classifier(one).class_name(4), "four");
}

TEST_F(ClassifierTest, BytesPixelsAndTensors) {
  const Classifier classifier(options());
  const std::string file = files_.read(name(1));
  const std::vector<uint8_t> bytes(file.begin(), file.end());
  const std::vector<Ranking> wanted = {classifier.classify(ImageFile{files_.path(name(1))})};
  expect_equal({classifier.classify(EncodedImage{bytes})}, wanted);

  // The decoded pixels, in rows with a gap behind each.
  const Record decoded = read_image(files_.path(name(1)));
  const int64_t height = decoded.shape[1], width = decoded.shape[2], stride = 3 * width + 5;
  std::vector<uint8_t> rows(static_cast<size_t>(height * stride), 77);
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        rows[static_cast<size_t>(y * stride + 3 * x + c)] =
            decoded.bytes[static_cast<size_t>((c * height + y) * width + x)];
      }
    }
  }
  expect_equal({classifier.classify(BgrImage{rows.data(), width, height, stride})}, wanted);

  // What the preprocessing makes of it.
  const Transformer transformer(*read_caffemodel(files_.path("net.caffemodel")).preprocessing);
  std::vector<float> values(3 * 24 * 24);
  transformer.apply(decoded, 0, 0, values.data());
  expect_equal(classifier.classify_tensor(values, 1), wanted);
  const std::vector<double> all = classifier.tensor_probabilities(values, 1).front();
  ASSERT_EQ(all.size(), 7U);
  double sum = 0;
  for (const double probability : all) sum += probability;
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(all[static_cast<size_t>(wanted[0][0].label)], wanted[0][0].probability);

  // Of each image alone, where many come together: a batch of 16 and one of 4.
  std::vector<float> many;
  for (int i = 0; i < 20; ++i) many.insert(many.end(), values.begin(), values.end());
  const std::vector<Ranking> rankings = classifier.classify_tensor(many, 20, 3);
  ASSERT_EQ(rankings.size(), 20U);
  for (const Ranking& ranking : rankings) {
    EXPECT_EQ(ranking[0].label, wanted[0][0].label);
    EXPECT_NEAR(ranking[0].probability, wanted[0][0].probability, 1e-6);
  }
  EXPECT_TRUE(classifier.classify(std::span<const AnyImage>()).empty());
  EXPECT_TRUE(classifier.classify_tensor({}, 0).empty());
}

TEST_F(ClassifierTest, ThreadsGetWhatOneThreadGets) {
  const Classifier classifier(options());
  const std::vector<AnyImage> all = images();
  const std::vector<Ranking> together = classifier.classify(all);
  std::vector<Ranking> alone;
  for (const AnyImage& image : all) alone.push_back(classifier.classify(image));
  std::atomic<int> wrong = 0, calls = 0;
  const auto same = [](const Ranking& a, const Ranking& b) {
    bool equal = a.size() == b.size();
    for (size_t k = 0; equal && k < a.size(); ++k) {
      equal = a[k].label == b[k].label && a[k].probability == b[k].probability;
    }
    return equal;
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 12; ++i) {
        const auto k = static_cast<size_t>(t + i) % all.size();
        if (i % 4 == 0) {
          const std::vector<Ranking> found = classifier.classify(all);
          for (size_t j = 0; j < all.size(); ++j) wrong += !same(found[j], together[j]);
        } else if (i % 4 == 1) {
          try {
            classifier.classify(ImageFile{files_.path("gone.jpg")});
            ++wrong;
          } catch (const DataError&) {
          }
        } else {
          wrong += !same(classifier.classify(all[k]), alone[k]);
        }
        ++calls;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(calls, 72);
}

TEST_F(ClassifierTest, SeveralInOneProcessAndMoves) {
  const std::vector<Ranking> wanted = Classifier(options()).classify(images());
  Classifier first(options());
  const Classifier second(options("logits.prototxt"));
  const std::vector<AnyImage> all = images();
  std::vector<Ranking> found;
  std::thread other([&] { found = second.classify(all); });
  expect_equal(first.classify(all), wanted);
  other.join();
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found[0][0].label, wanted[0][0].label);

  Classifier moved = std::move(first);
  expect_equal(moved.classify(all), wanted);
  moved = Classifier(options());
  expect_equal(moved.classify(all), wanted);
}

// The text of the Error that `action` throws.
template <class E, class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST_F(ClassifierTest, ErrorsNameWhatIsWrong) {
  const auto opening = [](const ClassifierOptions& options) {
    return [options] { const Classifier classifier(options); };
  };
  EXPECT_NE(error_of<DataError>(opening(options("deploy.prototxt", "gone.caffemodel")))
                .find("gone.caffemodel"),
            std::string::npos);
  EXPECT_NE(error_of<ConfigError>(opening(options("gone.prototxt"))).find("gone.prototxt"),
            std::string::npos);
  files_.write("bad.prototxt", std::string(kInput) + kBody + "lair { }");
  EXPECT_NE(error_of<ConfigError>(opening(options("bad.prototxt"))).find("lair"),
            std::string::npos);
  ClassifierOptions wrong = options();
  wrong.device = "abacus";
  EXPECT_NE(error_of<ConfigError>(opening(wrong)).find("abacus"), std::string::npos);
  wrong = options();
  wrong.math = "FLOAT8";
  EXPECT_NE(error_of<ConfigError>(opening(wrong)).find("FLOAT8"), std::string::npos);
  wrong = options();
  wrong.batch = 0;
  EXPECT_THROW(opening(wrong)(), ConfigError);
  EXPECT_THROW(opening({})(), ConfigError);

  const Classifier classifier(options());
  files_.write("text.jpg", "no image");
  std::vector<AnyImage> some = images();
  some.insert(some.begin() + 2, ImageFile{files_.path("text.jpg")});
  EXPECT_NE(error_of<DataError>([&] { classifier.classify(some); }).find("text.jpg"),
            std::string::npos);
  const std::vector<uint8_t> cut(100, 0xFF);
  EXPECT_NE(error_of<DataError>([&] {
              classifier.classify(EncodedImage{cut, "upload 7"});
            }).find("upload 7"),
            std::string::npos);
  const uint8_t pixel[3] = {};
  EXPECT_THROW(classifier.classify(BgrImage{pixel, 0, 1}), ConfigError);
  EXPECT_THROW(classifier.classify(BgrImage{pixel, 2, 1, 3}), ConfigError);
  EXPECT_THROW(classifier.classify(BgrImage{nullptr, 1, 1}), ConfigError);
  EXPECT_THROW(classifier.classify(images()[0], 0), ConfigError);
  const std::vector<float> values(10);
  EXPECT_NE(error_of<ConfigError>([&] { classifier.classify_tensor(values, 1); }).find("(3,24,24)"),
            std::string::npos);
  EXPECT_THROW(classifier.tensor_probabilities(values, -1), ConfigError);
  EXPECT_EQ(classifier.classify(images()[0]).size(), 5U);  // it goes on
}

}  // namespace
}  // namespace resnet::test
