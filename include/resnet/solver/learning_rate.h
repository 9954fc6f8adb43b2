// Learning-rate schedules as pure functions: resuming a run cannot change them.
#pragma once

#include <cstdint>

#include "resnet/solver/history.h"

namespace resnet {

// The rate of iteration `iter` (before lr_mult). lr_policy, with b = base_lr, g = gamma, p = power:
//   fixed      b                              step       b g^floor(iter / stepsize)
//   multistep  b g^(stepvalues passed)        exp        b g^iter
//   inv        b (1 + g iter)^-p              poly       b (1 - iter / max_iter)^p
//   sigmoid    b / (1 + e^(-g (iter - stepsize)))
//   cosine     min_lr + (b - min_lr) (1 + cos(pi iter / max_iter)) / 2
//   plateau    b g^drops, at least min_lr; a drop after plateau_patience windows (or tests) in a
//              row without an error below (1 - plateau_threshold) times the best
// the first seven exactly as Caffe's, whose multistep passes one stepvalue an iteration.
// warmup_iter replaces the first rates by a line from warmup_start_lr to the policy's rate. With
// warmup_lr the rate is warmup_lr until a window's training error is under warmup_error (section
// 4.2 of the paper: ResNet-110). Decisions for `iter` use only windows and tests that ended by
// iter - W.
// The parameters must have passed check_schedule().
double learning_rate(const SolverParameter& param, int64_t iter, const History& history);

// How many drops or steps the policy has made by `iter` (Caffe's current_step).
int64_t schedule_steps(const SolverParameter& param, int64_t iter, const History& history);

// Whether the schedule looks at the training error / the test error.
bool needs_training_error(const SolverParameter& param);
bool needs_test_error(const SolverParameter& param);

// Throws ConfigError for an unknown policy (naming the nearest) and for fields that the policy
// lacks or that make no sense.
void check_schedule(const SolverParameter& param);

}  // namespace resnet
