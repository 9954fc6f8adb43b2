// docs/formats.md names every field of resnet.proto that a prototxt may have, and every refused one.
#include <cctype>
#include <functional>
#include <set>

#include "io/field_lists.h"
#include "io/fork_lists.h"
#include "io/io_test_util.h"
#include "resnet/io/files.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// The part of the page between two headings.
std::string section(const std::string& page, const std::string& from, const std::string& to) {
  const size_t begin = page.find(from);
  const size_t end = page.find(to, begin);
  EXPECT_NE(begin, std::string::npos) << from;
  EXPECT_NE(end, std::string::npos) << to;
  return begin == std::string::npos ? "" : page.substr(begin, end - begin);
}

bool has_word(const std::string& text, const std::string& word) {
  const auto is_letter = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const bool left = at == 0 || !is_letter(text[at - 1]);
    const bool right = at + word.size() >= text.size() || !is_letter(text[at + word.size()]);
    if (left && right) return true;
  }
  return false;
}

TEST(FormatsPage, NamesEveryField) {
  const std::string page = read_file(std::string(RESNET_SOURCE_DIR) + "/docs/formats.md");
  const std::string obeyed = section(page, "### Obeyed", "### Accepted");
  const std::string accepted = section(page, "### Accepted", "### Refused");
  const std::string refused = section(page, "### Refused", "## Weight files");
  for (const std::string& name : text::refused_names()) {
    const size_t equals = name.find('=');
    EXPECT_TRUE(has_word(refused, name) ||
                (equals != std::string::npos && has_word(refused, name.substr(equals + 1))))
        << name;
  }
  std::set<const Descriptor*> seen;
  const std::function<void(const Descriptor&)> visit = [&](const Descriptor& type) {
    if (!seen.insert(&type).second || &type == BlobProto::descriptor()) return;
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const std::string name = type.name() + "." + field.name();
      if (!text::accepted_reason(name).empty()) {
        EXPECT_TRUE(has_word(accepted, name)) << name;
        continue;
      }
      if (!text::refused_reason(name).empty()) continue;
      const bool group = field.message_type() && &type == LayerParameter::descriptor();
      EXPECT_TRUE(group || has_word(obeyed, field.name()) || type.name() == "Preprocessing" ||
                  type.name() == "BlobShape")
          << name;
      if (field.message_type()) visit(*field.message_type());
    }
  };
  visit(*NetParameter::descriptor());
  visit(*SolverParameter::descriptor());
  EXPECT_GT(seen.size(), 25u);
}

TEST(FormatsPage, NamesEveryFieldOfTheForks) {
  const std::string page = read_file(std::string(RESNET_SOURCE_DIR) + "/docs/formats.md");
  const std::string forks = section(page, "### Of NVIDIA's and Intel's forks", "## Weight files");
  for (const text::ForkField& field : text::fork_fields()) {
    const size_t dot = field.name.find('.');
    EXPECT_TRUE(has_word(forks, std::string(field.name.substr(0, dot)))) << field.name;
    EXPECT_TRUE(has_word(forks, std::string(field.name.substr(dot + 1)))) << field.name;
  }
}

TEST(FormatsPage, NamesEveryFieldOfTheSolverState) {
  const std::string page = read_file(std::string(RESNET_SOURCE_DIR) + "/docs/formats.md");
  const std::string snapshots = section(page, "## Snapshots", "## Mean files");
  for (int i = 0; i < SolverState::descriptor()->field_count(); ++i) {
    EXPECT_TRUE(has_word(snapshots, SolverState::descriptor()->field(i)->name()))
        << SolverState::descriptor()->field(i)->name();
  }
}

}  // namespace
}  // namespace resnet
