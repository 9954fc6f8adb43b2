#include "commands.h"

#include "resnet/base/nearest.h"

namespace resnet::cli {

extern const Command kTrain, kTest, kPredict, kExtract, kDefine, kConvert, kMean, kShow, kSummary,
    kPlan, kBnStats, kTime, kImport, kExport, kInfo;

const std::vector<const Command*>& commands() {
  static const std::vector<const Command*> all = {
      &kTrain,   &kTest, &kPredict, &kExtract, &kDefine, &kConvert, &kMean, &kShow,
      &kSummary, &kPlan, &kBnStats, &kTime,    &kImport, &kExport,  &kInfo,
  };
  return all;
}

const Command& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command* command : commands()) {
    if (name == command->name) return *command;
    names.emplace_back(command->name);
  }
  throw ConfigError("'" + name + "' is not a command" +
                    suggestion(name, names, "; `resnet --help` lists them"));
}

}  // namespace resnet::cli
