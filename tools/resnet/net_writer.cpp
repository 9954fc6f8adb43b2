#include "net_writer.h"

namespace resnet::cli {
namespace {

std::string number(int n) { return std::to_string(n); }

}  // namespace

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return result + "\"";
}

NetWriter::NetWriter(const std::string& name, bool training, int group_size)
    : text_("name: " + quoted(name) + "\n"), training_(training), group_size_(group_size) {}

void NetWriter::comment(const std::string& text) { text_ += "\n# " + text + "\n"; }

void NetWriter::layer(const std::string& type, const std::string& name,
                      const std::vector<std::string>& bottoms, const std::vector<std::string>& tops,
                      const std::vector<std::string>& fields) {
  text_ += "layer { name: " + quoted(name) + " type: " + quoted(type);
  for (const std::string& bottom : bottoms) text_ += " bottom: " + quoted(bottom);
  for (const std::string& top : tops) text_ += " top: " + quoted(top);
  for (const std::string& field : fields) text_ += "\n        " + field;
  text_ += " }\n";
}

std::string NetWriter::convolution(const ConvolutionNames& names, const std::string& bottom,
                                   int num_output, int kernel, int stride) {
  std::string size = "num_output: " + number(num_output) + " kernel_size: " + number(kernel);
  if (kernel > 1) size += " pad: " + number(kernel / 2);
  if (stride > 1) size += " stride: " + number(stride);
  const std::string& top = names.convolution;
  layer("Convolution", names.convolution, {bottom}, {top},
        {"convolution_param { " + size + " bias_term: false" + filler() + " }"});
  std::vector<std::string> average;
  if (training_) {
    average.push_back("batch_norm_param { moving_average_fraction: 0.9" +
                      (group_size_ ? " group_size: " + number(group_size_) : "") + " }");
  }
  layer("BatchNorm", names.batch_norm, {top}, {top}, average);
  layer("Scale", names.scale, {top}, {top}, {"scale_param { bias_term: true }"});
  return top;
}

std::string NetWriter::relu(const std::string& blob) {
  layer("ReLU", blob + "_relu", {blob}, {blob});
  return blob;
}

std::string NetWriter::sum(const std::string& name, const std::string& a, const std::string& b) {
  layer("Eltwise", name, {a, b}, {name});
  return name;
}

std::string NetWriter::average(const std::string& name, const std::string& bottom) {
  layer("Pooling", name, {bottom}, {name}, {"pooling_param { pool: AVE global_pooling: true }"});
  return name;
}

std::string NetWriter::inner_product(const std::string& name, const std::string& bottom,
                                     int num_output) {
  layer("InnerProduct", name, {bottom}, {name},
        {"inner_product_param { num_output: " + number(num_output) + filler() + " }"});
  return name;
}

// The paper's initialisation (He et al., "Delving deep into rectifiers", 2015).
std::string NetWriter::filler() const {
  return training_ ? " weight_filler { type: \"msra\" }" : "";
}

}  // namespace resnet::cli
