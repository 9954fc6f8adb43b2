// ResNet-20 against what PyTorch computes from the same weights and images; tools/dev/parity_torch.py
// defines both and writes parity_resnet20.txt.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "resnet/backend/backend.h"
#include "resnet/io/prototxt.h"
#include "resnet/net/net.h"
#include "train/integer_hash.h"

namespace resnet::testing {
namespace {

constexpr int64_t kBatch = 32, kClasses = 10, kPixels = 3 * 32 * 32;
constexpr uint32_t kLabelStream = 999, kImageStream = 1000;

struct Wanted {
  std::vector<double> gradients;  // norms in the first step
  std::vector<double> losses, norms;
};

Wanted read_wanted() {
  std::ifstream file(std::string(RESNET_SOURCE_DIR) + "/tests/train/parity_resnet20.txt");
  Wanted wanted;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, name;
    double a = 0, b = 0;
    words >> kind >> name >> a >> b;
    if (kind == "gradient") wanted.gradients.push_back(a);
    if (kind == "step") {
      wanted.losses.push_back(a);
      wanted.norms.push_back(b);
    }
  }
  return wanted;
}

// The committed net, every parameter with the multipliers 1 as in the script.
NetParameter resnet20() {
  NetParameter net = read_net_prototxt(std::string(RESNET_SOURCE_DIR) +
                                       "/models/cifar10/resnet20/train_val.prototxt");
  for (LayerParameter& layer : *net.mutable_layer()) layer.clear_param();
  return net;
}

void fill_weights(Net& net) {
  uint32_t stream = 0;
  for (size_t i = 0; i < net.parameters().size(); ++i) {
    const Parameter& parameter = net.parameters()[i];
    std::vector<float> values(static_cast<size_t>(parameter.shape.count()));
    if (parameter.role == "gamma") std::fill(values.begin(), values.end(), 1.0f);
    if (parameter.role == "weight") {
      double bound = std::sqrt(6.0 / static_cast<double>(parameter.shape.count_from(1)));
      if (parameter.shape.rank() == 2) bound *= 0.1;
      for (size_t k = 0; k < values.size(); ++k) {
        values[k] = static_cast<float>(unit(stream, static_cast<uint32_t>(k)) * bound);
      }
      ++stream;
    }
    net.write_parameter(static_cast<int>(i), values);
  }
}

void set(const Tensor& tensor, int64_t i, float value) {
  if (tensor.desc.dtype == DType::f64) {
    tensor.as<double>()[i] = value;
  } else {
    tensor.as<float>()[i] = value;
  }
}

void fill_batch(Net& net, Session& session, int64_t step) {
  const Tensor images = net.input(session, "data"), labels = net.input(session, "label");
  for (int64_t n = 0; n < kBatch; ++n) {
    const auto image = static_cast<uint32_t>(step * kBatch + n);
    for (int64_t k = 0; k < kPixels; ++k) {
      set(images, n * kPixels + k,
          static_cast<float>(unit(kImageStream + image, static_cast<uint32_t>(k))));
    }
    set(labels, n, static_cast<float>(draw(kLabelStream, image) % kClasses));
  }
}

double norm(const std::vector<float>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum);
}

struct ParityCase {
  std::string backend;
  DType dtype;
  size_t steps;
};

class Parity : public ::testing::TestWithParam<ParityCase> {};

TEST_P(Parity, ResNet20IsPyTorchs) {
  const auto& [backend, dtype, steps] = GetParam();
  const Wanted wanted = read_wanted();
  ASSERT_EQ(wanted.losses.size(), 50u);
  const std::map<std::string, Shape> shapes = {{"data", {kBatch, 3, 32, 32}}, {"label", {kBatch}}};
  NetOptions options;
  options.dtype = dtype;
  Net net(resnet20(), make_backend(backend), options, shapes, shapes);
  fill_weights(net);
  Update update;
  update.rate = 0.01;
  update.momentum = 0.9;
  update.weight_decay = 1e-4;
  for (size_t step = 0; step < steps; ++step) {
    Session& session = net.session(TRAIN);
    fill_batch(net, session, static_cast<int64_t>(step));
    const double loss = total_loss(net.forward_backward(session));
    const double tolerance = step < 10 ? 1e-5 : 1e-3;
    EXPECT_NEAR(loss, wanted.losses[step], tolerance * wanted.losses[step]) << "step " << step;
    EXPECT_NEAR(net.gradient_norm(), wanted.norms[step],
                (step == 0 ? 1e-4 : 2e-3) * wanted.norms[step])
        << "step " << step;
    if (step == 0) {
      size_t next = 0;
      double far = 0, all = 0;
      for (size_t i = 0; i < net.parameters().size(); ++i) {
        if (!net.parameters()[i].learnable) continue;
        ASSERT_LT(next, wanted.gradients.size());
        const double is = norm(net.read_gradient(static_cast<int>(i)).data);
        // Rounding to float shows in gradients that are small differences of large sums: parameter
        // by parameter in double, all of them together in float.
        if (dtype == DType::f64) {
          EXPECT_NEAR(is, wanted.gradients[next], 1e-4 * wanted.gradients[next])
              << net.parameters()[i].name();
        }
        far += (is - wanted.gradients[next]) * (is - wanted.gradients[next]);
        all += wanted.gradients[next] * wanted.gradients[next];
        ++next;
      }
      EXPECT_LE(std::sqrt(far), 1e-4 * std::sqrt(all));
      EXPECT_EQ(next, wanted.gradients.size());
    }
    net.update(update);
  }
}

// The reference backend is slow: its first steps.
INSTANTIATE_TEST_SUITE_P(Backends, Parity,
                         ::testing::Values(ParityCase{"onednn", DType::f32, 50},
                                           ParityCase{"reference", DType::f64, 1}));

}  // namespace
}  // namespace resnet::testing
