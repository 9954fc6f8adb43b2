// `resnet predict` on folders and lists, and submissions to ILSVRC.
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/tool.h"
#include "resnet/io/caffemodel.h"

namespace resnet::test {
namespace {

// Six classes whose scores are multiples of the image's mean in one plane: the order of the classes is
// known without training.
constexpr char kSix[] = R"(name: "Six"
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } }
}
layer {
  name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { pool: AVE global_pooling: true }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 6 bias_term: false }
}
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
)";

// Red images (plane 2) are of class 5, 4, 3, .. in this order, all others of class 0, 1, 2, ..
void write_six(const std::string& path) {
  NetParameter net;
  LayerParameter* layer = net.add_layer();
  layer->set_name("fc");
  layer->set_type("InnerProduct");
  std::vector<float> weights;
  for (int k = 0; k < 6; ++k) {
    const float step = 0.002F * static_cast<float>(k);
    weights.insert(weights.end(), {-step, -step, 2 * step});
  }
  set_blob(layer->add_blobs(), {6, 3}, weights);
  Preprocessing& rule = *net.mutable_preprocessing();
  rule.set_resize_rule(Preprocessing::EXACT);
  rule.set_resize_size(4);
  for (const char* name : {"n01 a", "n02 b", "n03, c", "n04 d", "n05 e", "n06"}) {
    rule.add_class_name(name);
  }
  write_caffemodel(path, net, 1);
}

class Predict : public testing::Test {
 protected:
  Predict() {
    files_.write("six.prototxt", kSix);
    write_six(files_.path("six.caffemodel"));
    std::filesystem::create_directories(files_.path("set/sub"));
    files_.write_image("set/b.PPM", 9, 7, 200, 50, 50);
    files_.write_image("set/sub/a.ppm", 30, 40, 50, 50, 200);
    files_.write_image("set/c 7.ppm", 4, 4, 50, 200, 50);
    files_.write("set/readme.txt", "no image");
    files_.write("ids.txt", "n03 700\nn01 100\nn02 1000\nn06 1\nn05 500\nn04 44\nn99 999\n");
  }

  RunResult run(std::vector<std::string> flags) const {
    flags.insert(flags.begin(),
                 {"predict", "--quiet", "--model=six.prototxt", "--weights=six.caffemodel"});
    return files_.run(flags);
  }
  // The images in the order of the output.
  static std::vector<std::string> images(const RunResult& result) {
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<std::string> names;
    const std::string before = "Prediction for ", after = " ---";
    for (size_t at = result.out.find(before); at != std::string::npos;
         at = result.out.find(before, at + 1)) {
      const size_t begin = at + before.size();
      names.push_back(result.out.substr(begin, result.out.find(after, begin) - begin));
    }
    return names;
  }

  Workspace files_;
};

using Names = std::vector<std::string>;

TEST_F(Predict, FoldersAreSearchedAndSorted) {
  EXPECT_EQ(images(run({"set"})), (Names{"set/b.PPM", "set/c 7.ppm", "set/sub/a.ppm"}));
  EXPECT_EQ(images(run({"set/sub", "set/b.PPM"})), (Names{"set/sub/a.ppm", "set/b.PPM"}));
  std::filesystem::create_directory(files_.path("bare"));
  files_.write("bare/readme.txt", "no image");
  expect_failure(run({"bare"}), 3, {"bare", "no images"});
  expect_failure(run({"set", "gone.ppm"}), 3, {"gone.ppm"});
}

TEST_F(Predict, ListsMayHaveLabels) {
  files_.write("list.txt", "set/b.PPM 3\r\n\nset/c 7.ppm\nset/c 7.ppm  -1\nset/sub/a.ppm\t12\n");
  EXPECT_EQ(images(run({"--list=list.txt"})),
            (Names{"set/b.PPM", "set/c 7.ppm", "set/c 7.ppm", "set/sub/a.ppm"}));
  files_.write("set/beside.txt", "b.PPM 0\n");  // relative to the list
  EXPECT_EQ(images(run({"--list=set/beside.txt"})), (Names{"set/b.PPM"}));
  files_.write("bad.txt", "set/b.PPM\nset/b.PPM x\n");
  expect_failure(run({"--list=bad.txt"}), 3, {"bad.txt:2", "set/b.PPM x"});
  files_.write("blank.txt", "\n\n");
  expect_failure(run({"--list=blank.txt"}), 2, {"no images"});
}

TEST_F(Predict, SubmissionByWordNetIds) {
  const RunResult result = run({"set", "--submission=out.txt", "--ids=ids.txt", "--batch=2"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "out.txt: 3 images\n");
  // By file names: a (blue), b (red), c (green); best first.
  EXPECT_EQ(files_.read("out.txt"),
            "100 1000 700 44 500\n1 500 44 700 1000\n100 1000 700 44 500\n");
}

TEST_F(Predict, SubmissionByLabelsAndNames) {
  files_.write("by_label.txt", "11\n12\n13\n14\n15\n16\n");
  const RunResult json =
      run({"set/b.PPM", "--submission=out.txt", "--ids=by_label.txt", "--json", "--top=1"});
  EXPECT_EQ(json_number(json.out, "images"), 1) << json.err;
  EXPECT_EQ(files_.read("out.txt"), "16 15 14 13 12\n");

  files_.write("names.txt", "n06\nn05\nn04\nn03\nn02\nn01\n");
  EXPECT_EQ(run({"set/b.PPM", "--submission=out.txt", "--ids=ids.txt", "--labels=names.txt"}).code,
            0);
  EXPECT_EQ(files_.read("out.txt"), "100 1000 700 44 500\n");

  files_.write("counting.txt", "1\n2\n3\n4\n5\n6\n");
  const RunResult counting = run({"set/b.PPM", "--submission=out.txt", "--ids=counting.txt"});
  EXPECT_NE(counting.err.find("label plus 1"), std::string::npos) << counting.err;
}

TEST_F(Predict, SubmissionsThatCannotBeRight) {
  const auto refused = [&](const std::string& ids, int code, const std::string& fact) {
    files_.write("bad.txt", ids);
    expect_failure(run({"set", "--submission=none.txt", "--ids=bad.txt"}), code, {"bad.txt", fact});
  };
  refused("1\n2\n3\n4\n5\n", 2, "5 IDs, the net has 6 classes");
  refused("1\n2\n3\n4\n5\n5\n", 2, "ID 5 belongs to two");
  refused("1\n2\n3\n4\n5\n1001\n", 3, "'1001'");
  refused("n01 1\nn02 2\n", 2, "no ID for label 2");
  refused("n01 1\n2\n", 3, "some lines");
  refused("n01 1\nn01 2\n", 3, "two IDs");
  refused("n01 1 cat\n", 3, "neither");
  refused("", 3, "empty");
  expect_failure(run({"set", "--submission=none.txt"}), 2, {"--ids"});
  expect_failure(run({"set", "--ids=ids.txt"}), 2, {"--submission"});
  expect_failure(run({"set", "--submission=none.txt", "--ids=gone.txt"}), 3, {"gone.txt"});
  std::filesystem::create_directory(files_.path("twin"));
  files_.write_image("twin/b.PPM", 4, 4, 0, 0, 0);
  expect_failure(run({"set", "twin", "--submission=none.txt", "--ids=ids.txt"}), 2,
                 {"twin/b.PPM", "same name"});
  EXPECT_FALSE(files_.has("none.txt"));
}

TEST_F(Predict, ExtractSaysWhoseRowsTheyAre) {
  const std::vector<std::string> common = {"extract", "--quiet", "--model=six.prototxt",
                                           "--weights=six.caffemodel", "--blobs=prob"};
  std::vector<std::string> files = common, set = common;
  files.insert(files.end(), {"--output=files", "set"});
  files_.run_ok(files);
  EXPECT_EQ(files_.read("files/keys.txt"), "set/b.PPM\nset/c 7.ppm\nset/sub/a.ppm\n");
  EXPECT_FALSE(files_.has("files/labels.npy"));

  // Images of 8x8 become the 4x4 that the weights ask for; batches of 4, 4 and 2.
  set.insert(set.end(), {"--output=rows", "--source=test_lmdb", "--batch=4"});
  files_.run_ok(set);
  const std::string keys = files_.read("rows/keys.txt"), labels = files_.read("rows/labels.npy");
  EXPECT_EQ(std::count(keys.begin(), keys.end(), '\n'), 10);
  EXPECT_LT(keys.find("image0"), keys.find("image9"));
  EXPECT_NE(labels.find("'<i8'"), std::string::npos);
  ASSERT_GE(labels.size(), 80U);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(labels[labels.size() - 80 + 8 * i], static_cast<char>(i % 3)) << i;
  }
}

}  // namespace
}  // namespace resnet::test
