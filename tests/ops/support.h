// What each backend supports of the table of op cases, as the text of docs/support.md.
#pragma once

#include <string>

namespace resnet::testing {

std::string support_markdown();

}  // namespace resnet::testing
