// Every net and recipe of `resnet define --family=imagenet` trains.
#include "cli/tool.h"
#include "imagenet/nets.h"
#include "imagenet/recipe.h"

namespace resnet {
namespace {

using cli::Shortcut;
using test::json_number;
using test::Workspace;
using testing::define_recipe;
using testing::fill_inputs;
using testing::net_of;
using testing::train_net;

bool is_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// A step of training with a finite loss and a gradient for every parameter, and a test.
void check_step(const cli::ImageNetNet& net, int64_t side) {
  SCOPED_TRACE(cli::title(net));
  const auto trained = train_net(net, side);
  Session& session = trained->session(TRAIN);
  for (int pass = 0; pass < net.iter_size; ++pass) {
    fill_inputs(*trained, session, 3 + static_cast<uint64_t>(pass), net.classes);
    EXPECT_TRUE(std::isfinite(total_loss(trained->forward_backward(session, pass > 0))));
  }
  for (size_t p = 0; p < trained->parameters().size(); ++p) {
    const Parameter& parameter = trained->parameters()[p];
    if (!parameter.learnable) continue;
    const std::vector<float> gradient = trained->read_gradient(static_cast<int>(p)).data;
    EXPECT_TRUE(is_finite(gradient)) << parameter.name();
    EXPECT_TRUE(std::any_of(gradient.begin(), gradient.end(), [](float g) { return g != 0; }))
        << parameter.name();
  }

  // On the images that BatchNorm's statistics are of: those of so few fit no others in a deep net.
  Session& test = trained->session(TEST);
  fill_inputs(*trained, test, 3, net.classes);
  const std::vector<Metric> metrics = trained->forward(test);
  EXPECT_EQ(metrics.size(), 3U);  // accuracy, of five guesses too, and loss
  EXPECT_TRUE(std::isfinite(total_loss(metrics)));
}

cli::ImageNetNet small(int depth, Shortcut shortcut, int batch = 2) {
  cli::ImageNetNet net = net_of(depth, shortcut);
  net.batch = batch;
  return net;
}

constexpr Shortcut kShortcuts[] = {Shortcut::none, Shortcut::a, Shortcut::b, Shortcut::c};

TEST(ImageNetTraining, BasicBlocks) {
  for (const Shortcut shortcut : {Shortcut::none, Shortcut::a}) check_step(small(18, shortcut), 64);
}
TEST(ImageNetTraining, Bottlenecks) {
  cli::ImageNetNet net = small(50, Shortcut::b);
  net.stages = {1, 1, 1, 1};
  check_step(net, 64);
}

TEST(ImageNetTrainingSlow, AllForms) {
  for (const int depth : {18, 34, 50, 101, 152}) {
    for (const Shortcut shortcut : kShortcuts) check_step(small(depth, shortcut), 64);
  }
}
TEST(ImageNetTrainingSlow, AllFormsWithGroupsAndSeveralPasses) {
  for (const int depth : {18, 34, 50, 101, 152}) {
    for (const Shortcut shortcut : kShortcuts) {
      cli::ImageNetNet net = small(depth, shortcut, 4);
      net.group_size = 2;
      net.iter_size = 2;
      check_step(net, 64);
    }
  }
}
TEST(ImageNetTrainingSlow, FullImages) {
  for (const int depth : {18, 34, 50, 101, 152}) {
    check_step(small(depth, cli::imagenet_net(depth).shortcut), 224);
  }
}

// Two passes over halves of a batch, and one over the batch with the halves as BatchNorm's groups.
void check_passes_against_groups(int depth, int half, double tolerance) {
  cli::ImageNetNet net = small(depth, cli::imagenet_net(depth).shortcut, 2 * half);
  net.group_size = half;
  const auto grouped = train_net(net, 64);
  Session& whole = grouped->session(TRAIN);
  fill_inputs(*grouped, whole, 3, net.classes);
  const double loss = total_loss(grouped->forward_backward(whole));

  net.batch = half;
  net.group_size = 0;
  const auto by_passes = train_net(net, 64);
  Session& part = by_passes->session(TRAIN);
  double sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (const std::string& name : by_passes->input_names(part)) {
      const Tensor to = by_passes->input(part, name);
      std::copy_n(grouped->input(whole, name).as<float>() + pass * to.desc.count(), to.desc.count(),
                  to.as<float>());
    }
    sum += total_loss(by_passes->forward_backward(part, pass > 0));
  }
  EXPECT_NEAR(sum / 2, loss, 1e-5 * loss);
  for (size_t p = 0; p < grouped->parameters().size(); ++p) {
    if (!grouped->parameters()[p].learnable) continue;
    std::vector<float> gradient = by_passes->read_gradient(static_cast<int>(p)).data;
    for (float& g : gradient) g /= 2;
    EXPECT_LT(testing::relative_error(gradient, grouped->read_gradient(static_cast<int>(p)).data),
              tolerance)
        << grouped->parameters()[p].name();
  }
}

TEST(ImageNetTraining, PassesEqualGroups) { check_passes_against_groups(18, 4, 1e-4); }
TEST(ImageNetTrainingSlow, PassesEqualGroups50) { check_passes_against_groups(50, 16, 1e-4); }

void check_recipe(const std::vector<std::string>& flags, int64_t side,
                  const std::string& expected) {
  const Workspace dir;
  define_recipe(dir, flags, side);
  EXPECT_NE((dir.read("train_val.prototxt") + dir.read("solver.prototxt")).find(expected),
            std::string::npos);
  const test::RunResult run =
      dir.run_ok({"train", "--solver=solver.prototxt", "--max_iter=1", "--json"});
  EXPECT_EQ(json_number(run.out, "iteration").value_or(0), 1) << run.err;
  EXPECT_TRUE(std::isfinite(json_number(run.out, "loss").value_or(NAN))) << run.err;
}

TEST(ImageNetRecipes, PassesAndGroups) {
  check_recipe({"--depth=18", "--batch=4", "--iter_size=2", "--group_size=2"}, 32, "group_size: 2");
}
TEST(ImageNetRecipesSlow, ResNet50InPassesOf32) {
  check_recipe({"--depth=50", "--batch=32", "--iter_size=8"}, 224, "iter_size: 8");
}
TEST(ImageNetRecipesSlow, ResNet50InGroupsOf32) {
  check_recipe({"--depth=50", "--batch=256", "--group_size=32"}, 64, "group_size: 32");
}

}  // namespace
}  // namespace resnet
