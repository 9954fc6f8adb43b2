// protobuf's tokenizer with byte positions and the place of its first error. Internal to src/io.
#pragma once

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace resnet::text {

struct Token {
  google::protobuf::io::Tokenizer::TokenType type = google::protobuf::io::Tokenizer::TYPE_START;
  std::string text;
  int line = 0;      // 0-based
  int column = 0;    // 0-based, tabs to multiples of 8
  size_t begin = 0;  // bytes from the start of the text
  size_t end = 0;

  bool is(std::string_view s) const { return text == s; }
};

class Lexer {
 public:
  explicit Lexer(std::string_view text);

  const Token& current() const { return current_; }
  const Token& previous() const { return previous_; }
  void next();
  bool at_end() const;
  bool is(std::string_view s) const { return current_.is(s); }
  bool try_consume(std::string_view s);

  // What is wrong with the current token itself (a string without its closing quote, a stray byte).
  const std::optional<std::string>& error() const { return collector_.message; }

 private:
  struct Collector : google::protobuf::io::ErrorCollector {
    void AddError(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& text) override;
    std::optional<std::string> message;
  };

  size_t offset_of(int line, int column) const;

  std::string_view text_;
  std::vector<size_t> line_begin_;
  Collector collector_;
  google::protobuf::io::ArrayInputStream stream_;
  google::protobuf::io::Tokenizer tokenizer_;
  Token current_, previous_;
};

}  // namespace resnet::text
