// The reference backend with one planted fault, to test the tests.
#pragma once

#include <memory>

#include "resnet/backend/backend.h"

namespace resnet::testing {

enum class Fault {
  none,
  wrong_element,    // the last element of output 0 is off by a thousandth of its largest
  missing_element,  // it keeps what was there
  beyond_end,       // a byte after output 0 changes
  writes_input,     // a byte of input 0 changes
  overwrites,       // an accumulating output is overwritten
  wrong_in_place,   // reads an input after the output that shares its memory
};

std::unique_ptr<Backend> make_faulty_backend(Fault fault);

}  // namespace resnet::testing
