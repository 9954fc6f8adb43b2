// The backends that the op tests compare with `reference`, and what each of them may refuse.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cases.h"
#include "equality.h"
#include "resnet/backend/backend.h"

namespace resnet::testing {

struct BackendUnderTest {
  std::string name;
  std::shared_ptr<Backend> backend;
  const std::vector<Case>* cases;
  // Cases that the backend need not support. Everything else in the table must work, so that a missing op fails.
  std::vector<std::string> exempt = {};
  // The 16-bit types that the ops are tested in, each with why it cannot be on this machine, or "".
  std::vector<std::pair<DType, std::string>> narrow_types = {};

  bool may_refuse(const Case& c, Pass pass) const;
};

// onednn; the reference backend once more, loaded as a module; cuda, emulated on the host (as cuda, where the
// module is there), and on a GPU where there is one (as cuda_gpu).
const std::vector<BackendUnderTest>& backends_under_test();
// Why the tests run on no GPU, or "".
const std::string& gpu_obstacle();
const BackendUnderTest& backend_under_test(const std::string& name);
// The file of the loadable reference backend.
std::string module_path();

}  // namespace resnet::testing
