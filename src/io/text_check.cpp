#include "io/text_check.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>

#include "io/field_lists.h"
#include "io/fork_lists.h"
#include "io/text_lexer.h"
#include "resnet/base/nearest.h"

namespace resnet::text {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::Tokenizer;

// "LayerParameter.name": without the package, as people know it.
std::string label(const FieldDescriptor& field) {
  return field.containing_type()->name() + "." + field.name();
}

std::string quoted(const Token& t, bool negative = false) {
  if (t.type == Tokenizer::TYPE_END) return "the end of the file";
  if (t.type == Tokenizer::TYPE_STRING) return "the string " + t.text.substr(0, 40);
  return (negative ? "'-" : "'") + t.text.substr(0, 40) + "'";
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : ", ") + w;
  return out;
}

std::vector<std::string> field_names(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    if (refused_reason(label(*type.field(i))).empty()) names.push_back(type.field(i)->name());
  }
  return names;
}

std::vector<std::string> value_names(const EnumDescriptor& type) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(type.value_count()));
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return names;
}

class Checker {
 public:
  Checker(std::string_view text, const Descriptor& type) : lexer_(text), root_(&type) {}

  Report run() {
    group(*root_, Token{}, "");
    std::stable_sort(report_.problems.begin(), report_.problems.end(),
                     [](const Problem& a, const Problem& b) {
                       return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                     });
    return std::move(report_);
  }

 private:
  // close: the group ended as it should; unwind: the '}' of this group is missing and the current
  // token belongs to the group at depth unwind_to_; stop: a syntax error, nothing more is read.
  enum class Flow { done, unwind, stop };

  void problem(const Token& at, std::string message) {
    report_.problems.push_back({at.line + 1, at.column + 1, std::move(message)});
  }

  Flow syntax(const Token& at, std::string message) {
    problem(at, std::move(message));
    report_.syntax_error = true;
    return Flow::stop;
  }

  // The fields of one group up to its closing token ("" for the whole text).
  Flow group(const Descriptor& type, const Token& open, const std::string& close) {
    if (stack_.size() >= kMaxDepth) {
      return syntax(open, "groups are nested more than " + std::to_string(kMaxDepth) +
                              " deep: this is not a net or a solver");
    }
    stack_.push_back(&type);
    const Flow flow = fields(type, open, close);
    stack_.pop_back();
    return flow;
  }

  Flow fields(const Descriptor& type, const Token& open, const std::string& close) {
    std::map<const FieldDescriptor*, int> first_line;  // of fields that may stand only once
    while (true) {
      const Token& t = lexer_.current();
      if (lexer_.error()) return bad_token();
      if (lexer_.at_end()) {
        if (close.empty()) return Flow::done;
        return syntax(open,
                      "this '" + open.text + "' is never closed: add the missing '" + close + "'");
      }
      if (t.type != Tokenizer::TYPE_IDENTIFIER) {
        if (!close.empty() && lexer_.try_consume(close)) return Flow::done;
        return unexpected(t, close);
      }
      const FieldDescriptor* field = type.FindFieldByName(t.text);
      const Flow flow = field ? known_field(*field, &first_line) : unknown_field(type);
      if (flow == Flow::stop) return flow;
      if (flow == Flow::unwind && stack_.size() != unwind_to_) return flow;
      skip_separator();
    }
  }

  // A ';' or ',' after a field; it goes with the field if that one is marked as bad.
  void skip_separator() {
    const size_t end = lexer_.previous().end;
    if (!lexer_.try_consume(";") && !lexer_.try_consume(",")) return;
    auto& bad = report_.bad_ranges;
    if (!bad.empty() && bad.back().second == end) bad.back().second = lexer_.previous().end;
  }

  Flow bad_token() {
    const Token& t = lexer_.current();
    if (t.type == Tokenizer::TYPE_STRING && t.text.find('\\') == std::string::npos) {
      return syntax(t, "this string has no closing quote on its line: add it");
    }
    return syntax(t, "this is not valid prototxt: " + *lexer_.error());
  }

  Flow unexpected(const Token& t, const std::string& close) {
    if (t.is("}") || t.is(">")) {
      if (close.empty()) return syntax(t, "this '" + t.text + "' closes nothing: remove it");
      return syntax(t, "expected '" + close + "' but found '" + t.text + "'");
    }
    if (t.is("[")) return syntax(t, "extension fields are not supported: remove this one");
    const Token& p = lexer_.previous();
    if (t.line == p.line && p.type != Tokenizer::TYPE_START && !p.is("{") && !p.is("}")) {
      return syntax(t, "unexpected " + quoted(t) + " after " + quoted(p) +
                           ": a field is written name: value");
    }
    return syntax(t, "expected the name of a field, found " + quoted(t));
  }

  Flow unknown_field(const Descriptor& type) {
    const Token name = lexer_.current();
    // A layer inside a layer: the '}' before it is missing. Go on in the net.
    for (size_t depth = stack_.size() - 1; depth > 0; --depth) {
      const FieldDescriptor* outer = stack_[depth - 1]->FindFieldByName(name.text);
      if (outer && name.is("layer")) {
        problem(name, "'layer' inside of '" + type.name() + "': a '}' is missing before it");
        report_.syntax_error = true;
        unwind_to_ = depth;
        return Flow::unwind;
      }
    }
    if (const ForkField* fork = fork_field(type.name() + "." + name.text)) {
      return field_of_fork(*fork, name);
    }
    problem(name, describe_unknown(type, name.text));
    lexer_.next();
    const Flow flow = skip_value(name);
    mark_bad(name);
    return flow;
  }

  // A field of NVIDIA's or Intel's fork: without effect, or refused.
  Flow field_of_fork(const ForkField& fork, const Token& name) {
    lexer_.next();
    lexer_.try_consume(":");
    if (lexer_.error()) return bad_token();
    const Token value = lexer_.current();
    if (lexer_.at_end() || value.is("}") || value.is(">")) {
      problem(name, "field '" + name.text + "' has no value: write " + name.text + ": value");
      mark_bad(name);
      return Flow::done;
    }
    std::string text = value.text;
    if (value.type == Tokenizer::TYPE_STRING) Tokenizer::ParseString(value.text, &text);
    if (fork.name == kScaleBias && text == "true" && stack_.size() == 3 &&
        root_->name() == "NetParameter") {
      report_.scaled_layers.push_back(static_cast<int>(report_.layer_lines.size()) - 1);
      report_.accepted.push_back({std::string(fork.name), name.line + 1, kScaleAdded, true});
    } else if (is_harmless(fork, text)) {
      report_.accepted.push_back({std::string(fork.name), name.line + 1, fork.reason, true});
    } else {
      problem(name, "field '" + name.text + "' of a fork of Caffe is not supported" +
                        (fork.harmless == "-" ? "" : " with this value") + ": " +
                        std::string(fork.instead));
    }
    const Flow flow = skip_value(name);
    mark_bad(name);
    return flow;
  }

  std::string describe_unknown(const Descriptor& type, const std::string& name) {
    const std::string reason = refused_reason(type.name() + "." + name);
    if (!reason.empty()) return "field '" + name + "' is not supported: " + reason;
    const std::string fact = "unknown field '" + name.substr(0, 60) + "' in " + type.name();
    if (stack_.size() > 1 && stack_[stack_.size() - 2]->FindFieldByName(name)) {
      return fact + "; it belongs to the enclosing " + stack_[stack_.size() - 2]->name() +
             ": move it there, or add the '}' that is missing before it";
    }
    const std::vector<std::string> names = field_names(type);
    return fact + suggestion(name, names,
                             names.size() <= 12 ? "; valid are " + join(names) : "; remove it");
  }

  Flow known_field(const FieldDescriptor& field,
                   std::map<const FieldDescriptor*, int>* first_line) {
    const Token name = lexer_.current();
    const size_t problems = report_.problems.size();
    lexer_.next();
    if (stack_.size() == 1 && field.name() == "layer") report_.layer_lines.push_back(name.line + 1);
    const std::string refused = refused_reason(label(field));
    if (!refused.empty()) {
      problem(name, "field '" + field.name() + "' is not supported: " + refused);
    } else if (!field.is_repeated()) {
      const auto [it, first] = first_line->try_emplace(&field, name.line + 1);
      if (!first) {
        problem(name, "field '" + field.name() +
                          "' stands here for the second time (first on line " +
                          std::to_string(it->second) + "): keep one");
      }
    }
    if (const std::string_view reason = accepted_reason(label(field)); !reason.empty()) {
      report_.accepted.push_back({label(field), name.line + 1, reason});
    }
    fork_value_ = nullptr;
    const bool whole = report_.problems.size() > problems;  // not to be read at all
    const bool is_group = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const Flow flow = !refused.empty() ? skip_value(name)
                      : is_group       ? group_value(field, name)
                                       : scalar_value(field, name);
    // A group with problems inside keeps its good parts: only its bad fields are marked.
    if (!is_group && fork_value_ != nullptr) {
      report_.accepted.push_back(
          {std::string(fork_value_->name), name.line + 1, fork_value_->reason, true});
      mark_bad(name);
    } else if (whole || (!is_group && report_.problems.size() > problems)) {
      mark_bad(name);
    }
    return flow;
  }

  void mark_bad(const Token& from) {
    report_.bad_ranges.emplace_back(from.begin, lexer_.previous().end);
  }

  Flow group_value(const FieldDescriptor& field, const Token& name) {
    lexer_.try_consume(":");
    Flow flow = Flow::done;
    if (field.is_repeated() && lexer_.try_consume("[")) {
      for (bool more = !lexer_.try_consume("]"); more && flow == Flow::done;) {
        flow = one_group(field, name);
        if (flow == Flow::done) flow = list_goes_on(&more);
      }
    } else {
      flow = one_group(field, name);
    }
    return flow;
  }

  Flow one_group(const FieldDescriptor& field, const Token& name) {
    const Token open = lexer_.current();
    if (!open.is("{") && !open.is("<")) {
      const std::string fact =
          "'" + field.name() + "' is a group: write " + field.name() + " { ... }";
      if (open.type == Tokenizer::TYPE_SYMBOL || lexer_.at_end()) return syntax(name, fact);
      problem(name, fact);
      const Flow flow = skip_value(name);
      mark_bad(name);
      return flow;
    }
    lexer_.next();
    return group(*field.message_type(), open, open.is("{") ? "}" : ">");
  }

  Flow scalar_value(const FieldDescriptor& field, const Token& name) {
    if (!lexer_.is(":")) {
      const Token& t = lexer_.current();
      if (t.is("{") || t.is("<")) {
        problem(name, "'" + field.name() + "' is one value, not a group: write " + field.name() +
                          ": value");
        return skip_value(name);
      }
      if (t.line == name.line && t.type != Tokenizer::TYPE_SYMBOL && !lexer_.at_end()) {
        problem(name, "a ':' is missing after '" + field.name() + "'");
        return skip_value(name);
      }
      problem(name, "field '" + field.name() + "' has no value: write " + field.name() + ": value");
      return Flow::done;
    }
    lexer_.next();
    if (!lexer_.is("[")) return one_scalar(field, name);
    const Token open = lexer_.current();
    if (!field.is_repeated()) {
      problem(open, "'" + field.name() + "' takes one value, not a list");
      return skip_value(name);
    }
    lexer_.next();
    Flow flow = Flow::done;
    for (bool more = !lexer_.try_consume("]"); more && flow == Flow::done;) {
      flow = one_scalar(field, name);
      if (flow == Flow::done) flow = list_goes_on(&more);
    }
    return flow;
  }

  // After a value of a list: ',' and another one, or the end.
  Flow list_goes_on(bool* more) {
    *more = lexer_.try_consume(",");
    if (*more || lexer_.try_consume("]")) return Flow::done;
    return syntax(lexer_.current(), "expected ',' or ']', found " + quoted(lexer_.current()));
  }

  // One value, with its sign or the further parts of a string.
  Flow one_scalar(const FieldDescriptor& field, const Token& name) {
    if (lexer_.error()) return bad_token();
    const Token first = lexer_.current();
    const bool negative = lexer_.try_consume("-");
    const Token value = lexer_.current();
    if (lexer_.error()) return bad_token();
    std::string wrong = check_value(field, value, negative);
    const bool new_line = value.line != name.line;
    if (value.type == Tokenizer::TYPE_SYMBOL || lexer_.at_end() ||
        (new_line && value.type == Tokenizer::TYPE_IDENTIFIER && !wrong.empty())) {
      if (value.is("{") || value.is("<")) {
        problem(name, "'" + field.name() + "' is one value, not a group");
        return skip_value(name);
      }
      if (!new_line && !value.is("}") && !value.is(">") && !lexer_.at_end()) {
        return syntax(value, "expected a value of '" + field.name() + "', found " + quoted(value));
      }
      problem(name, "field '" + field.name() + "' has no value: write " + field.name() + ": value");
      return Flow::done;
    }
    if (!wrong.empty()) problem(first, std::move(wrong));
    lexer_.next();
    while (value.type == Tokenizer::TYPE_STRING &&
           lexer_.current().type == Tokenizer::TYPE_STRING && !lexer_.error()) {
      lexer_.next();
    }
    return Flow::done;
  }

  // What is wrong with a value; empty if nothing is.
  std::string check_value(const FieldDescriptor& field, const Token& v, bool negative) {
    const std::string found = "found " + quoted(v, negative);
    const std::string place = "'" + field.name() + "' ";
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (v.type != Tokenizer::TYPE_STRING || negative) {
          return place + "takes a string in quotes, " + found;
        }
        return check_string(field, v);
      case FieldDescriptor::CPPTYPE_ENUM:
        return check_enum(field, v, negative);
      case FieldDescriptor::CPPTYPE_BOOL: {
        const bool good = v.is("true") || v.is("false") || v.is("True") || v.is("False") ||
                          v.is("t") || v.is("f") || v.is("0") || v.is("1");
        return good && !negative ? "" : place + "takes true or false, " + found;
      }
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return is_number(v) ? "" : place + "takes a number, " + found;
      case FieldDescriptor::CPPTYPE_INT32:
        return check_integer(place, v, negative, std::numeric_limits<int32_t>::max(), true, found);
      case FieldDescriptor::CPPTYPE_INT64:
        return check_integer(place, v, negative, std::numeric_limits<int64_t>::max(), true, found);
      case FieldDescriptor::CPPTYPE_UINT32:
        return check_integer(place, v, negative, std::numeric_limits<uint32_t>::max(), false,
                             found);
      default:
        return check_integer(place, v, negative, std::numeric_limits<uint64_t>::max(), false,
                             found);
    }
  }

  static bool is_number(const Token& v) {
    if (v.type == Tokenizer::TYPE_FLOAT) return true;
    if (v.type == Tokenizer::TYPE_INTEGER) {  // decimal only
      return v.text.size() == 1 || v.text[0] != '0';
    }
    std::string s = v.text;
    for (char& c : s) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return v.type == Tokenizer::TYPE_IDENTIFIER && (s == "inf" || s == "infinity" || s == "nan");
  }

  static std::string check_integer(const std::string& place, const Token& v, bool negative,
                                   uint64_t max, bool is_signed, const std::string& found) {
    if (v.type != Tokenizer::TYPE_INTEGER) return place + "takes a whole number, " + found;
    if (negative && !is_signed) return place + "takes a whole number from 0 on, " + found;
    uint64_t value = 0;
    if (!Tokenizer::ParseInteger(v.text, negative ? max + 1 : max, &value)) {
      return place + "takes a whole number up to " + std::to_string(max) + ", " + found;
    }
    return {};
  }

  static std::string check_string(const FieldDescriptor& field, const Token& v) {
    const auto allowed = allowed_strings(label(field));
    if (allowed.empty()) return {};
    std::string value;
    Tokenizer::ParseString(v.text, &value);
    const std::vector<std::string> names(allowed.begin(), allowed.end());
    if (std::find(names.begin(), names.end(), value) != names.end()) return {};
    return wrong_name(field, value, names);
  }

  std::string check_enum(const FieldDescriptor& field, const Token& v, bool negative) {
    const EnumDescriptor& type = *field.enum_type();
    if (v.type == Tokenizer::TYPE_INTEGER && !negative) {
      uint64_t number = 0;
      Tokenizer::ParseInteger(v.text, std::numeric_limits<int32_t>::max(), &number);
      if (type.FindValueByNumber(static_cast<int>(number))) return {};
    } else if (v.type == Tokenizer::TYPE_IDENTIFIER && !negative) {
      if (type.FindValueByName(v.text)) return {};
      const std::string refused = refused_reason(label(field) + "=" + v.text);
      if (!refused.empty()) {
        return "value '" + v.text + "' of '" + field.name() + "' is not supported: " + refused;
      }
      if (const ForkField* fork = fork_field(label(field) + "=" + v.text)) {
        if (is_harmless(*fork, v.text)) {
          fork_value_ = fork;
          return {};
        }
        return "value '" + v.text + "' of '" + field.name() +
               "', of a fork of Caffe, is not supported: " + std::string(fork->instead);
      }
    }
    return wrong_name(field, v.text, value_names(type));
  }

  static std::string wrong_name(const FieldDescriptor& field, const std::string& value,
                                const std::vector<std::string>& names) {
    const std::string near = nearest(value, names);
    return "unknown value '" + value.substr(0, 40) + "' of '" + field.name() + "'; " +
           (near.empty() ? "valid are " : "did you mean '" + near + "'? Valid are ") + join(names);
  }

  // Skips whatever value stands after a field's name.
  Flow skip_value(const Token& name) {
    lexer_.try_consume(":");
    if (lexer_.error()) return bad_token();
    if (lexer_.is("{") || lexer_.is("<") || lexer_.is("[")) return skip_balanced();
    lexer_.try_consume("-");
    const Token t = lexer_.current();
    if (lexer_.error()) return bad_token();
    if (t.type == Tokenizer::TYPE_SYMBOL || lexer_.at_end()) {
      return t.is("}") || t.is(">") || lexer_.at_end()
                 ? Flow::done
                 : syntax(t, "expected a value of '" + name.text + "', found " + quoted(t));
    }
    lexer_.next();
    while (t.type == Tokenizer::TYPE_STRING && !lexer_.error() &&
           lexer_.current().type == Tokenizer::TYPE_STRING) {
      lexer_.next();
    }
    return Flow::done;
  }

  Flow skip_balanced() {
    std::vector<Token> open;
    do {
      const Token t = lexer_.current();
      if (lexer_.error()) return bad_token();
      if (lexer_.at_end())
        return syntax(open.back(), "this '" + open.back().text + "' is never closed");
      if (t.type == Tokenizer::TYPE_SYMBOL) {
        if (t.is("{") || t.is("<") || t.is("[")) {
          open.push_back(t);
        } else if (t.is("}") || t.is(">") || t.is("]")) {
          const std::string want = open.back().is("{") ? "}" : open.back().is("<") ? ">" : "]";
          if (!t.is(want)) return syntax(t, "expected '" + want + "' but found '" + t.text + "'");
          open.pop_back();
        }
      }
      lexer_.next();
    } while (!open.empty());
    return Flow::done;
  }

  Lexer lexer_;
  const Descriptor* root_;
  Report report_;
  std::vector<const Descriptor*> stack_;
  size_t unwind_to_ = 0;                   // stack_.size() of the group that goes on
  const ForkField* fork_value_ = nullptr;  // what the field that is read has for a value
};

}  // namespace

Report check_text(std::string_view text, const Descriptor& type) {
  return Checker(text, type).run();
}

}  // namespace resnet::text
