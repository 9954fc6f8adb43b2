#include "cases.h"

#include <limits>

namespace resnet::testing {
namespace {

using Kind = Pooling::Kind;
using Elt = Eltwise::Kind;
using Norm = SoftmaxLoss::Normalization;

// 1 / sqrt(eps): what BatchNorm multiplies the gradient of a constant channel by before it cancels.
constexpr double kLargestGain = 316;

std::vector<Case> convolutions() {
  return {
      {"conv_1x1", Convolution{.num_output = 5}, {{2, 3, 4, 5}}},
      {"conv_1x1_bias", Convolution{.num_output = 17, .bias = true}, {{2, 33, 7, 7}}},
      {"conv_1x1_stride2", Convolution{.num_output = 32, .stride = {2, 2}}, {{2, 16, 9, 7}}},
      {"conv_3x3", Convolution{.num_output = 6, .kernel = {3, 3}, .pad = {1, 1}}, {{2, 4, 9, 8}}},
      {"conv_3x3_16",
       Convolution{.num_output = 16, .kernel = {3, 3}, .pad = {1, 1}},
       {{3, 16, 8, 8}}},
      {"conv_3x3_first",
       Convolution{.num_output = 16, .kernel = {3, 3}, .pad = {1, 1}, .bias = true},
       {{2, 3, 13, 11}}},
      {"conv_3x3_stride2",
       Convolution{.num_output = 32, .kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}},
       {{2, 16, 15, 16}}},
      {"conv_3x3_nopad", Convolution{.num_output = 20, .kernel = {3, 3}}, {{1, 18, 5, 6}}},
      {"conv_one_pixel",
       Convolution{.num_output = 7, .kernel = {3, 3}, .bias = true},
       {{2, 5, 3, 3}}},
      {"conv_7x7_stride2",
       Convolution{
           .num_output = 9, .kernel = {7, 7}, .stride = {2, 2}, .pad = {3, 3}, .bias = true},
       {{1, 3, 20, 21}}},
      {"conv_rect",
       Convolution{
           .num_output = 3, .kernel = {3, 5}, .stride = {2, 1}, .pad = {1, 2}, .bias = true},
       {{1, 2, 8, 9}}},
      {"conv_dilated",
       Convolution{.num_output = 16, .kernel = {3, 3}, .pad = {2, 2}, .dilation = {2, 2}},
       {{1, 16, 9, 9}}},
      {"conv_groups_dilated",
       Convolution{.num_output = 6,
                   .kernel = {3, 3},
                   .pad = {2, 2},
                   .dilation = {2, 2},
                   .groups = 2,
                   .bias = true},
       {{1, 4, 9, 9}}},
      {"conv_groups16",
       Convolution{.num_output = 32, .kernel = {3, 3}, .pad = {1, 1}, .groups = 2},
       {{2, 32, 6, 7}}},
      {"conv_depthwise",
       Convolution{.num_output = 10, .kernel = {3, 3}, .pad = {1, 1}, .groups = 10},
       {{2, 10, 5, 7}}},
      {"conv_relu",
       Convolution{.num_output = 16, .kernel = {3, 3}, .pad = {1, 1}, .bias = true, .relu = true},
       {{2, 16, 8, 7}}},
      {"conv_sum_relu",
       Convolution{.num_output = 19,
                   .kernel = {3, 3},
                   .pad = {1, 1},
                   .bias = true,
                   .sum = true,
                   .relu = true},
       {{2, 8, 8, 7}}},
      {"conv_sum", Convolution{.num_output = 16, .sum = true}, {{2, 32, 5, 5}}},
      // Large enough for Winograd's algorithm, with tiles that reach over the edge.
      {"conv_tiles",
       Convolution{.num_output = 64, .kernel = {3, 3}, .pad = {1, 1}},
       {{2, 64, 27, 18}}},
      {"conv_tiles_bias",
       Convolution{.num_output = 32, .kernel = {3, 3}, .pad = {1, 1}, .bias = true},
       {{1, 48, 29, 28}}},
      {"conv_fixed_relu",
       Convolution{.num_output = 32,
                   .kernel = {3, 3},
                   .pad = {1, 1},
                   .bias = true,
                   .relu = true,
                   .fixed_weights = true},
       {{1, 64, 9, 10}}},
      {"conv_fixed_sum_relu",
       Convolution{.num_output = 48,
                   .kernel = {3, 3},
                   .pad = {1, 1},
                   .bias = true,
                   .sum = true,
                   .relu = true,
                   .fixed_weights = true},
       {{3, 32, 7, 7}}},
  };
}

std::vector<Case> inner_products() {
  return {
      {"ip", InnerProduct{.num_output = 10}, {{5, 64}}},
      {"ip_bias", InnerProduct{.num_output = 7, .bias = true}, {{3, 2, 4, 5}}},
      {"ip_pooled", InnerProduct{.num_output = 10, .bias = true}, {{4, 64, 1, 1}}},
      {"ip_odd_channels", InnerProduct{.num_output = 11, .bias = true}, {{3, 37, 1, 1}}},
      {"ip_axis2", InnerProduct{.num_output = 3, .axis = 2, .bias = true}, {{2, 3, 4, 5}}},
      {"ip_transpose", InnerProduct{.num_output = 7, .transpose = true}, {{3, 8}}},
  };
}

std::vector<Case> batch_norms() {
  const BatchNorm affine{.gamma = true, .beta = true};
  const auto with = [](BatchNorm op, bool add, bool relu, bool mask) {
    op.add = add;
    op.relu = relu;
    op.has_mask = mask;
    return op;
  };
  const auto strided = [](BatchNorm op, int64_t stride) {
    op.add = op.relu = op.has_mask = true;
    op.add_stride = stride;
    return op;
  };
  BatchNorm grouped = affine, global = affine;
  grouped.group_size = 2;
  global.global = true;
  return {
      {"bn_plain", BatchNorm{}, {{4, 3, 5, 6}}},
      {"bn_affine", affine, {{4, 17, 5, 3}}},
      {"bn_gamma", BatchNorm{.gamma = true}, {{2, 16, 4, 4}}},
      {"bn_eps", BatchNorm{.eps = 0.01}, {{4, 3, 5, 6}}},
      {"bn_relu", with(affine, false, true, true), {{3, 16, 7, 5}}},
      {"bn_relu_nomask", with(affine, false, true, false), {{3, 16, 7, 5}}},
      {"bn_add", with(affine, true, false, false), {{2, 8, 5, 5}}},
      {"bn_add_relu", with(affine, true, true, true), {{2, 21, 5, 5}}},
      {"bn_plain_relu", with(BatchNorm{}, false, true, true), {{2, 16, 3, 3}}},
      {"bn_groups", with(grouped, false, true, true), {{6, 16, 4, 3}}},
      {"bn_groups_add_relu", with(grouped, true, true, true), {{4, 5, 4, 3}}},
      {"bn_add_stride2", strided(affine, 2), {{2, 32, 4, 4}, {2, 16, 8, 8}}},
      {"bn_add_stride2_odd", strided(affine, 2), {{2, 7, 3, 5}, {2, 3, 5, 9}}},
      {"bn_add_stride1_more", strided(affine, 1), {{2, 24, 3, 4}, {2, 11, 3, 4}}},
      {"bn_groups_add_stride3", strided(grouped, 3), {{4, 24, 3, 2}, {4, 16, 7, 5}}},
      {"bn_global_add_stride2", strided(global, 2), {{2, 16, 3, 4}, {2, 8, 5, 7}}},
      {"bn_many_rows", with(affine, false, true, true), {{5, 24, 31, 29}}},
      {"bn_many_rows_16", with(affine, true, true, true), {{4, 16, 40, 37}}},
      {"bn_many_tiles", with(affine, false, true, true), {{3, 136, 9, 8}}},
      {"bn_rank2", affine, {{8, 5}}},
      {.name = "bn_one_value", .op = BatchNorm{}, .src = {{1, 3, 1, 1}}, .scale = kLargestGain},
      {.name = "bn_large_mean",
       .op = with(affine, false, true, true),
       .src = {{4, 16, 12, 11}},
       .mean = 100,
       .deviation = 0.1},
      {.name = "bn_large_mean_odd",
       .op = affine,
       .src = {{4, 5, 9, 8}},
       .mean = -100,
       .deviation = 0.1},
      {"bn_global", BatchNorm{.global = true}, {{2, 5, 3, 4}}},
      {"bn_global_affine", global, {{2, 16, 3, 4}}},
      {"bn_global_zero_factor", global, {{2, 5, 3, 4}}, {{3, 0.0}}},
      {"bn_global_relu", with(global, false, true, true), {{2, 19, 3, 3}}},
      {"bn_global_relu_nomask", with(global, false, true, false), {{2, 19, 3, 3}}},
      {"bn_global_add_relu", with(global, true, true, true), {{2, 16, 3, 3}}},
      {"update_statistics", UpdateStatistics{.fraction = 0.9}, {{2, 37}}},
      {"fold", FoldBatchNorm{}, {{5, 3, 3, 3}}},
      {"fold_affine", FoldBatchNorm{.bias = true, .gamma = true, .beta = true}, {{16, 16, 1, 1}}},
      {"fold_zero_factor", FoldBatchNorm{.gamma = true, .beta = true}, {{6, 2, 3, 3}}, {{3, 0.0}}},
  };
}

std::vector<Case> elementwise() {
  return {
      {"scale", Scale{}, {{2, 3, 4, 5}}},
      {"scale_bias", Scale{.bias = true}, {{2, 19, 4, 5}}},
      {"scale_axes", Scale{.axis = 1, .num_axes = 2, .bias = true}, {{2, 3, 4, 5}}},
      {"scale_axis0", Scale{.axis = 0, .num_axes = 1}, {{4, 3}}},
      {"scale_last", Scale{.axis = -1, .num_axes = 1, .bias = true}, {{2, 3, 4, 5}}},
      {"scale_scalar", Scale{.axis = 0, .num_axes = 0}, {{3, 4}}},
      {"relu", Relu{}, {{2, 3, 4, 5}}},
      {"relu_16", Relu{}, {{2, 32, 7, 7}}},
      {"relu_slope", Relu{.slope = 0.1}, {{3, 7}}},
      {"sum", Eltwise{}, {{2, 3, 4, 5}, {2, 3, 4, 5}}},
      {"sum_one", Eltwise{}, {{2, 16, 4, 5}}},
      {"sum_three_coeff", Eltwise{.coeff = {1, -0.5, 2}}, {{2, 17, 3}, {2, 17, 3}, {2, 17, 3}}},
      {"sum_relu", Eltwise{.relu = true}, {{2, 16, 5, 5}, {2, 16, 5, 5}}},
      {"prod", Eltwise{.kind = Elt::prod}, {{2, 3, 4, 5}, {2, 3, 4, 5}}},
      {"prod_three", Eltwise{.kind = Elt::prod}, {{2, 16, 3, 3}, {2, 16, 3, 3}, {2, 16, 3, 3}}},
      {"max", Eltwise{.kind = Elt::max}, {{2, 3, 4, 5}, {2, 3, 4, 5}}},
      {"max_three", Eltwise{.kind = Elt::max}, {{2, 21, 3, 3}, {2, 21, 3, 3}, {2, 21, 3, 3}}},
      {"dropout", Dropout{.ratio = 0.5, .layer_id = 3}, {{3, 19}}},
      {"dropout_image", Dropout{.ratio = 0.2, .layer_id = 9}, {{2, 5, 3, 7}}},
      {"sgd", SgdUpdate{}, {{3, 5, 3, 3}}},
      {"sgd_nesterov", SgdUpdate{.nesterov = true}, {{1001}}},
      {"sgd_l1", SgdUpdate{.l1 = true, .rate_mult = 2, .decay_mult = 0}, {{16, 16, 3, 3}}},
      {"draw_batch",
       DrawBatch{.batch = 3, .height = 5, .width = 4, .pad = 2, .mirror = true},
       {{4, 3, 6, 5}}},
      {"draw_batch_mean_image",
       DrawBatch{.batch = 4, .height = 6, .width = 5, .pad = 1, .scale = 0.5F},
       {{4, 2, 6, 5}, {2, 6, 5}}},
      {"draw_batch_mean_of_window",
       DrawBatch{.batch = 2, .height = 4, .width = 4, .mirror = true, .mean_of_window = true},
       {{5, 3, 6, 6}, {3, 4, 4}}},
      {"draw_batch_bf16",
       DrawBatch{.batch = 2, .height = 5, .width = 4, .mirror = true, .type = DType::bf16},
       {{4, 3, 6, 5}}},
      {"normalise", NormaliseImages{.scale = 0.5F}, {{4, 3, 9, 8}}},
      {"normalise_grey", NormaliseImages{}, {{3, 1, 17, 18}}},
      {"normalise_mean_image", NormaliseImages{.scale = 0.017F}, {{5, 3, 7, 9}, {3, 9, 12}}},
      {"normalise_mean_of_window", NormaliseImages{}, {{3, 3, 7, 8}, {3, 7, 8}}},
      {"normalise_bf16", NormaliseImages{.type = DType::bf16}, {{2, 3, 9, 8}}},
      {"normalise_f16", NormaliseImages{.scale = 0.01F, .type = DType::f16}, {{2, 4, 5, 8}}},
      {"scale_by", ScaleBy{}, {{3, 5, 2, 7}}},
      {"squared_norm", SquaredNorm{}, {{16411}}},
      {"squared_norm_one", SquaredNorm{}, {{1}}},
      {"record_batch", RecordBatch{.images = 128, .rows = 5}, {{6}}},
      {"record_batch_first_row", RecordBatch{.images = 1, .rows = 3}, {{1}}},
      {"prepare_update", PrepareUpdate{.iter_size = 3}, {{5, 4}}},
      {"prepare_update_clip", PrepareUpdate{.has_norm = true}, {{2, 4}}, {{1, 2.5}}},
      {"prepare_update_loss_scale",
       PrepareUpdate{.iter_size = 2, .has_norm = true, .loss_scaling = true},
       {{3, 4}},
       {{1, 9}}},
      {"prepare_update_overflow",
       PrepareUpdate{.has_norm = true, .loss_scaling = true},
       {{3, 4}},
       {{1, std::numeric_limits<double>::infinity()}}},
      {"fill", Fill{.value = -1.5, .shape = {2, 3, 5}}, {}},
  };
}

std::vector<Case> poolings() {
  const Pooling max{.kind = Kind::max, .kernel = {3, 3}, .stride = {2, 2}, .has_index = true};
  const auto with = [](Pooling op, Pair kernel, Pair stride, Pair pad, bool ceil) {
    op.kernel = kernel;
    op.stride = stride;
    op.pad = pad;
    op.ceil = ceil;
    return op;
  };
  const Pooling average{.kind = Kind::average};
  Pooling inference = max;
  inference.has_index = false;
  return {
      {"max", max, {{2, 3, 12, 12}}},
      {"max_ties", max, {{2, 16, 11, 13}}, {}, true},
      {"max_inference", inference, {{2, 5, 12, 9}}},
      {"max_pad", with(max, {3, 3}, {2, 2}, {1, 1}, true), {{1, 17, 11, 12}}},
      {"max_pad_floor", with(max, {3, 3}, {2, 2}, {1, 1}, false), {{1, 16, 12, 13}}, {}, true},
      {"max_k2_pad", with(max, {2, 2}, {2, 2}, {1, 1}, true), {{1, 2, 5, 6}}},
      {"max_gaps", with(max, {2, 2}, {3, 3}, {0, 0}, true), {{1, 2, 10, 11}}},
      {"max_rect", with(max, {3, 2}, {2, 3}, {1, 0}, true), {{1, 2, 9, 10}}},
      {"max_global", with(max, {5, 6}, {1, 1}, {0, 0}, true), {{2, 3, 5, 6}}},
      {"max_wide",
       with(max, {16, 17}, {2, 1}, {0, 0}, true),
       {{1, 3, 18, 19}}},  // index in 32 bits
      {"average", with(average, {3, 3}, {2, 2}, {0, 0}, true), {{2, 3, 12, 12}}},
      {"average_pad", with(average, {3, 3}, {2, 2}, {1, 1}, true), {{1, 16, 11, 12}}},
      {"average_floor", with(average, {3, 3}, {2, 2}, {1, 1}, false), {{1, 19, 12, 13}}},
      {"average_wide_pad", with(average, {5, 5}, {3, 3}, {2, 2}, true), {{1, 2, 9, 14}}},
      {"average_rect", with(average, {3, 2}, {2, 3}, {1, 0}, true), {{1, 2, 9, 10}}},
      {"average_global", with(average, {8, 8}, {1, 1}, {0, 0}, true), {{3, 64, 8, 8}}},
      {"average_global_odd", with(average, {7, 7}, {1, 1}, {0, 0}, true), {{2, 21, 7, 7}}},
  };
}

std::vector<Case> losses() {
  return {
      {"softmax", Softmax{}, {{3, 7}}},
      {"softmax_spatial", Softmax{}, {{2, 5, 3, 4}}},
      {"softmax_last", Softmax{.axis = -1}, {{2, 3, 17}}},
      {"loss", SoftmaxLoss{}, {{6, 5}}},
      {"loss_image", SoftmaxLoss{}, {{4, 10, 1, 1}, {4}}},
      {"loss_1000", SoftmaxLoss{}, {{3, 1000}}},
      {"loss_spatial", SoftmaxLoss{}, {{2, 5, 3, 4}, {2, 1, 3, 4}}},
      {"loss_valid_ignore", SoftmaxLoss{.has_ignore = true, .ignore_label = 2}, {{2, 5, 3, 4}}},
      {"loss_full_ignore",
       SoftmaxLoss{.normalization = Norm::full, .has_ignore = true, .ignore_label = 255},
       {{2, 5, 3, 4}}},
      {"loss_batch", SoftmaxLoss{.normalization = Norm::batch}, {{2, 5, 3, 4}}},
      {"loss_none", SoftmaxLoss{.normalization = Norm::none, .loss_weight = 0.5}, {{6, 5}}},
      {"loss_smooth", SoftmaxLoss{.label_smoothing = 0.1}, {{6, 10}}},
      {"loss_smooth_ignore",
       SoftmaxLoss{.has_ignore = true, .ignore_label = 1, .label_smoothing = 0.2, .loss_weight = 2},
       {{6, 3}}},
      {"loss_count",
       SoftmaxLoss{
           .has_ignore = true, .ignore_label = 1, .normalizer_scale = 2, .count_input = true},
       {{6, 3}}},
      {"loss_shard", SoftmaxLoss{.normalization = Norm::full, .normalizer_scale = 4}, {{6, 3}}},
      {"loss_all_ignored",
       SoftmaxLoss{.has_ignore = true, .ignore_label = 2},
       {{4, 3}},
       {{1, 2.0}}},
      {"loss_map_ignore", SoftmaxLoss{.has_ignore = true, .ignore_label = 1}, {{2, 3, 70, 60}}},
      {"count_labels", CountLabels{.ignore_label = 2}, {{37}}},
      {"count_labels_map", CountLabels{.ignore_label = 2}, {{2, 1, 70, 60}}},
      {"accuracy", Accuracy{}, {{40, 5}}, {}, true},
      {"accuracy_top3", Accuracy{.top_k = 3}, {{40, 5}}, {}, true},
      {"accuracy_image", Accuracy{}, {{7, 10, 1, 1}, {7}}},
      {"accuracy_ignore", Accuracy{.has_ignore = true, .ignore_label = 0}, {{2, 6, 3, 3}}},
  };
}

std::vector<Case> data_movement() {
  return {
      {"concat", Concat{}, {{2, 3, 4, 5}, {2, 2, 4, 5}}},
      {"concat_16", Concat{}, {{2, 16, 3, 3}, {2, 32, 3, 3}, {2, 16, 3, 3}}},
      {"concat_axis0", Concat{.axis = 0}, {{2, 3, 4, 5}, {1, 3, 4, 5}}},
      {"concat_last", Concat{.axis = -1}, {{2, 3, 4}, {2, 3, 1}}},
      {"slice", Slice{.axis = 1, .begin = 1, .size = 3}, {{2, 5, 4, 3}}},
      {"slice_16", Slice{.axis = 1, .begin = 16, .size = 32}, {{2, 64, 3, 3}}},
      {"slice_axis0", Slice{.axis = 0, .begin = 1, .size = 2}, {{4, 5, 3}}},
      {"reshape", Reshape{.shape = {2, 60}}, {{2, 3, 4, 5}}},
      {"reshape_pooled", Reshape{.shape = {3, 37}}, {{3, 37, 1, 1}}},
      {"reorder", Reorder{}, {{2, 19, 3, 5}}},
      {"shortcut", IdentityShortcut{.stride = 2, .num_output = 32}, {{2, 16, 8, 8}}},
      {"shortcut_odd", IdentityShortcut{.stride = 2, .num_output = 7}, {{2, 3, 5, 9}}},
      {"shortcut_same", IdentityShortcut{.stride = 1, .num_output = 16}, {{2, 16, 4, 4}}},
      {"shortcut_stride3", IdentityShortcut{.stride = 3, .num_output = 20}, {{1, 17, 7, 8}}},
  };
}

void append(std::vector<Case>& all, const std::string& prefix, std::vector<Case> more) {
  for (Case& c : more) {
    c.name = prefix + c.name;
    all.push_back(std::move(c));
  }
}

}  // namespace

const std::vector<Case>& small_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> all;
    append(all, "", convolutions());
    append(all, "", inner_products());
    append(all, "", batch_norms());
    append(all, "", elementwise());
    append(all, "pool_", poolings());
    append(all, "", losses());
    append(all, "", data_movement());
    return all;
  }();
  return cases;
}

}  // namespace resnet::testing
