// Writes nets as prototxt that people read: one or two lines a layer, a comment per group of layers.
#pragma once

#include <string>
#include <vector>

namespace resnet::cli {

// A convolution with its BatchNorm and Scale, which every residual and plain net consists of. The
// three names are as in the authors' published models: "res2a_branch2a", "bn2a_branch2a",
// "scale2a_branch2a".
struct ConvolutionNames {
  std::string convolution, batch_norm, scale;
};

// The text as a prototxt string, in quotes.
std::string quoted(const std::string& text);

class NetWriter {
 public:
  // With `training`, layers say how they are initialised and trained. `group_size`: images that share
  // BatchNorm's statistics in training; 0: the batch.
  NetWriter(const std::string& name, bool training, int group_size = 0);

  void gap() { text_ += "\n"; }           // a blank line
  void comment(const std::string& text);  // a blank line and "# text"

  // Appends a layer. `fields`: its other fields, such as "relu_param { negative_slope: 0.1 }".
  void layer(const std::string& type, const std::string& name,
             const std::vector<std::string>& bottoms, const std::vector<std::string>& tops,
             const std::vector<std::string>& fields = {});

  // The layers below return their top.

  // A square convolution without bias whose output has the size of its input divided by `stride`,
  // then BatchNorm and Scale in place. The top has the convolution's name.
  std::string convolution(const ConvolutionNames& names, const std::string& bottom, int num_output,
                          int kernel, int stride);
  // In place, called "<blob>_relu".
  std::string relu(const std::string& blob);
  // The sum of two blobs.
  std::string sum(const std::string& name, const std::string& a, const std::string& b);
  // Global average pooling.
  std::string average(const std::string& name, const std::string& bottom);
  std::string inner_product(const std::string& name, const std::string& bottom, int num_output);

  const std::string& text() const { return text_; }

 private:
  std::string filler() const;

  std::string text_;
  bool training_;
  int group_size_;
};

}  // namespace resnet::cli
