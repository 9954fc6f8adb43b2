#include "cli/image_sets.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "data/jpeg_files.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

constexpr char kLayers[] = R"(
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";

constexpr char kImageSolver[] = R"(net: "images.prototxt"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
max_iter: 4
display: 1
snapshot: 2
snapshot_prefix: "images/net"
random_seed: 1
)";

std::string data_layer(const std::string& source_fields, const std::string& transform, bool train) {
  return std::string("layer { name: \"data\" type: \"Data\" top: \"data\" top: \"label\"\n") +
         "        include { phase: " + (train ? "TRAIN" : "TEST") + " }\n" +
         "        transform_param { resize_shorter_min: 40 resize_shorter_max: 60 crop_size: 32 "
         "mirror: true color_std: 0.1\n" +
         "                          scale: 0.0078125 " + transform + " }\n" +
         "        data_param { batch_size: 4 " + (train ? "shuffle: true " : "") + source_fields +
         " } }\n";
}

}  // namespace

void write_pixels(const Workspace& files, const std::string& name, int height, int width,
                  int channels, const PixelFunction& pixel) {
  std::string content = std::string(channels == 3 ? "P6" : "P5") + "\n" + std::to_string(width) +
                        " " + std::to_string(height) + "\n255\n";
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) content += static_cast<char>(pixel(y, x, c));
    }
  }
  fs::create_directories(fs::path(files.path(name)).parent_path());
  files.write(name, content);
}

void write_jpeg(const Workspace& files, const std::string& name, int height, int width,
                uint32_t seed, int orientation) {
  std::vector<uint8_t> bytes = resnet::testing::jpeg_file({.name = "420"}, height, width, seed);
  if (orientation > 0) bytes = resnet::testing::with_orientation(bytes, orientation);
  fs::create_directories(fs::path(files.path(name)).parent_path());
  files.write(name, {bytes.begin(), bytes.end()});
}

void write_image_set(const Workspace& files) {
  std::string list;
  for (int i = 0; i < 12; ++i) {
    const int label = i / 4;
    const std::string name = "set/n0" + std::to_string(label + 1) + "/" + std::to_string(10 + i);
    write_jpeg(files, name + ".jpg", 60 + 5 * i, 110 - 4 * i, static_cast<uint32_t>(i + 1));
    list += name + ".jpg " + std::to_string(label) + "\n";
  }
  files.write("list.txt", list);
  shell(files, "tar -cf set.tar -C set n03 n01 n02");
  shell(files,
        "mkdir tars && for c in n01 n02 n03; do tar -cf tars/$c.tar -C set/$c .; done && "
        "tar -cf classes.tar -C tars n01.tar n02.tar n03.tar && rm -r tars");
}

void write_image_net(const Workspace& files, const std::string& source_fields,
                     const std::string& transform) {
  files.write("images.prototxt", "name: \"Images\"\n" + data_layer(source_fields, transform, true) +
                                     data_layer(source_fields, transform, false) + kLayers);
  files.write("images_solver.prototxt", kImageSolver);
}

void shell(const Workspace& files, const std::string& command) {
  ASSERT_EQ(std::system(("cd '" + files.path("") + "' && " + command).c_str()), 0) << command;
}

}  // namespace resnet::test
