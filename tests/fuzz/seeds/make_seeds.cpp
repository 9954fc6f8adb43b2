// Writes the binary seeds of the fuzz targets: build the target fuzz_seeds, then
// usage: fuzz_seeds tests/fuzz/corpus
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "data/cifar_format.h"
#include "data/jpeg_files.h"
#include "resnet/eval/weights.h"
#include "resnet/exchange/safetensors.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/mean_file.h"
#include "resnet/io/snapshot.h"

namespace resnet {
namespace {

namespace fs = std::filesystem;

fs::path corpus;

std::string place(const std::string& target, const std::string& name) {
  fs::create_directories(corpus / target);
  return (corpus / target / name).string();
}

void write(const std::string& target, const std::string& name, const std::string& bytes) {
  std::ofstream(place(target, name), std::ios::binary) << bytes;
}

// A convolution with BatchNorm and a classifier for images of 3x8x8.
NetParameter net(bool input) {
  NetParameter net;
  net.set_name("Tiny");
  const auto layer = [&](const char* name, const char* type, const char* bottom, const char* top) {
    LayerParameter* added = net.add_layer();
    added->set_name(name);
    added->set_type(type);
    if (*bottom != '\0') added->add_bottom(bottom);
    added->add_top(top);
    return added;
  };
  const auto blob = [](LayerParameter* layer, const Shape& shape) {
    set_blob(layer->add_blobs(), shape,
             std::vector<float>(static_cast<size_t>(shape.count()), 0.25F));
  };
  if (input) {
    BlobShape* shape = layer("data", "Input", "", "data")->mutable_input_param()->add_shape();
    for (const int dim : {1, 3, 8, 8}) shape->add_dim(dim);
  }
  LayerParameter* conv = layer("conv", "Convolution", "data", "conv");
  conv->mutable_convolution_param()->set_num_output(2);
  conv->mutable_convolution_param()->add_kernel_size(3);
  blob(conv, {2, 3, 3, 3});
  blob(conv, {2});
  LayerParameter* norm = layer("bn", "BatchNorm", "conv", "conv");
  blob(norm, {2});
  blob(norm, {2});
  blob(norm, {1});
  LayerParameter* fc = layer("fc", "InnerProduct", "conv", "fc");
  fc->mutable_inner_product_param()->set_num_output(3);
  blob(fc, {3, 72});
  blob(fc, {3});
  layer("prob", "Softmax", "fc", "prob");
  return net;
}

Preprocessing rule(bool mean_image) {
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::SHORT_SIDE);
  rule.set_resize_size(9);
  rule.set_crop_size(8);
  rule.set_scale(0.5F);
  if (mean_image) {
    set_blob(rule.mutable_mean(), {3, 8, 8}, std::vector<float>(192, 100.0F));
  } else {
    for (const float mean : {104.0F, 117.0F, 123.0F}) rule.add_mean_value(mean);
  }
  for (const char* name : {"cat", "dog", "ship"}) rule.add_class_name(name);
  return rule;
}

void weight_files() {
  NetParameter ours = net(true);
  *ours.mutable_preprocessing() = rule(false);
  write_caffemodel(place("caffemodel", "valid_ours"), ours, 7);
  *ours.mutable_preprocessing() = rule(true);
  write("caffemodel", "valid_mean_image", ours.SerializeAsString());
  write("caffemodel", "valid_caffe", net(false).SerializeAsString());
  write("caffemodel", "cut", ours.SerializeAsString().substr(0, 500));

  // Layers of the old kind, double values, and the old form of shapes.
  WeightFile old;
  V1LayerParameter* layer = old.add_layers();
  layer->set_name("fc");
  BlobProto* blob = layer->add_blobs();
  blob->set_num(1);
  blob->set_channels(1);
  blob->set_height(2);
  blob->set_width(3);
  for (int i = 0; i < 6; ++i) blob->add_double_data(i);
  write("caffemodel", "valid_v1", old.SerializeAsString());
}

void solver_states() {
  SolverState state;
  state.set_iter(1000);
  state.set_learned_net("net_iter_1000.caffemodel");
  state.set_current_step(1);
  set_blob(state.add_history(), {2, 3}, std::vector<float>(6, 0.5F));
  write("solverstate", "valid_caffe", state.SerializeAsString());
  write("solverstate", "cut", state.SerializeAsString().substr(0, 40));
  for (int i = 0; i < 3; ++i) {
    MetricsWindow* window = state.add_window();
    window->set_index(i);
    window->set_iterations(100);
    window->set_loss_sum(200);
    window->set_error_sum(5000);
    window->set_images(12800);
  }
  TestResult* test = state.add_test_result();
  test->set_iteration(1000);
  test->set_error(0.25);
  test->set_images(10000);
  const std::string prefix = (fs::temp_directory_path() / "fuzz_seed").string();
  const SnapshotPaths paths = write_snapshot(prefix, net(true), &state, 7);
  fs::copy_file(paths.state, place("solverstate", "valid_ours"),
                fs::copy_options::overwrite_existing);
  fs::remove(paths.state);
  fs::remove(paths.model);
}

void mean_files() {
  write_mean(place("binaryproto", "valid_old_shape"), {{3, 4, 5}, std::vector<float>(60, 7.0F)});
  BlobProto blob;
  set_blob(&blob, {1, 1, 4, 4}, std::vector<float>(16, 7.0F));
  write("binaryproto", "valid_new_shape", blob.SerializeAsString());
  blob.mutable_shape()->set_dim(2, 5);
  write("binaryproto", "wrong_count", blob.SerializeAsString());
}

std::string text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

void images() {
  for (const testing::JpegKind& kind : testing::jpeg_kinds()) {
    write("jpeg", "valid_" + kind.name, text(testing::jpeg_file(kind, 17, 19)));
  }
  const std::vector<uint8_t> file = testing::jpeg_file({.name = "colour"}, 17, 19);
  write("jpeg", "valid_turned", text(testing::with_orientation(file, 6)));
  write("jpeg", "cut", text(file).substr(0, file.size() / 2));
  std::string huge = text(file);
  const size_t frame =
      huge.find("\xFF\xC0");  // marker, length (2), precision, height (2), width (2)
  for (size_t i = 5; i < 9; ++i) huge[frame + i] = '\x7F';
  write("jpeg", "huge", huge);

  Datum datum;
  datum.set_channels(3);
  datum.set_height(6);
  datum.set_width(7);
  datum.set_label(4);
  datum.set_data(std::string(126, '\x55'));
  write("datum", "valid_bytes", datum.SerializeAsString());
  datum.set_data(std::string(125, '\x55'));
  write("datum", "wrong_count", datum.SerializeAsString());
  datum.add_float_data(1);  // and bytes: once, both together counted as enough
  write("datum", "bytes_and_floats", datum.SerializeAsString());
  datum.clear_data();
  for (int i = 1; i < 126; ++i) datum.add_float_data(static_cast<float>(i));
  write("datum", "valid_floats", datum.SerializeAsString());
  Datum encoded;
  encoded.set_encoded(true);
  encoded.set_data(text(file));
  write("datum", "valid_jpeg", encoded.SerializeAsString());

  std::string records;
  for (int i = 0; i < 2; ++i) {
    Record record;
    record.label = i;
    record.shape = {3, kCifarSide, kCifarSide};
    record.bytes.assign(3 * kCifarPlane, static_cast<uint8_t>(10 + i));
    records += text(cifar_record(record));
  }
  write("cifar", "valid_two", records);
  write("cifar", "cut", records.substr(0, 4000));
  write("cifar", "empty", "");
}

void arrays() {
  TensorFile file;
  file.tensors.push_back({"conv1.weight", {2, 3}, std::vector<float>(6, 0.5F)});
  file.tensors.push_back({"bn1.bias", {4}, std::vector<float>(4, -1.0F)});
  file.metadata = {{"format", "pt"}};
  write_safetensors(place("safetensors", "valid_two"), file);
  write_safetensors(place("safetensors", "valid_none"), {});
  // Of other types.
  const auto with_header = [](std::string header, const std::string& data) {
    std::string length(8, '\0');
    length[0] = static_cast<char>(header.size());
    return length + header + data;
  };
  write("safetensors", "valid_half",
        with_header(R"({"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}})",
                    "\x01\x3C\x01\x3C"));
  write("safetensors", "overlap",
        with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                    R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                    "123456"));
  write("safetensors", "huge",
        with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
                    "1234"));
}

}  // namespace
}  // namespace resnet

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  resnet::corpus = argv[1];
  resnet::weight_files();
  resnet::solver_states();
  resnet::mean_files();
  resnet::images();
  resnet::arrays();
}
