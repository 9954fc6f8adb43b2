// What of a message is our own and nothing to Caffe. Internal to src/exchange.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace resnet {

// Removes fields of our own (numbers from 10000), also inside of groups, where they have their defaults; for
// every other one, and for values of our own, adds a line `where` + reason with what to do.
void drop_own_fields(const std::string& where, google::protobuf::Message* message,
                     std::vector<std::string>* reasons);

}  // namespace resnet
